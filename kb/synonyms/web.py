"""The pages of the synonyms: the list, a group with its history, proposing and judging."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import FromPath, Parameter
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.errors import AppError, Conflict, Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import fragment, is_htmx, page, redirect, toast
from kb.synonyms.model import LOCALES, REASON_LIMIT, TEXT_LIMIT, State, Wording, difference, split
from kb.synonyms.preview import Preview
from kb.synonyms.service import Synonyms

AnyRequest = Request[Any, Any, Any]
Text = Annotated[str, Parameter(max_length=200)]
LANGUAGES = {"": N_("French and English"), "fr": N_("French"), "en": N_("English")}
STATES = {
    State.PROPOSED: N_("waits for a colleague"),
    State.PUBLISHED: N_("in force"),
    State.SUPERSEDED: N_("replaced"),
    State.WITHDRAWN: N_("ended the group"),
    State.REFUSED: N_("refused"),
    State.TAKEN_BACK: N_("taken back"),
}
TONES = {State.PROPOSED: "info", State.PUBLISHED: "success", State.WITHDRAWN: "warning", State.REFUSED: "danger"}
WORDS: dict[str, Any] = {"languages": LANGUAGES, "states": STATES, "tones": TONES, "difference": difference}


@get("/search/synonyms")
async def listed(request: AnyRequest, member: Member, synonyms: Synonyms, q: Text = "", lang: Text = "") -> Template:
    """The groups of synonyms in force, what waits for approval, and what was ended."""
    chosen = lang if lang in LOCALES else ""
    context: dict[str, Any] = {
        "groups": await synonyms.listed(text=q, locale=chosen),
        "proposed": await synonyms.proposed(),
        "withdrawn": await synonyms.withdrawn(),
        "q": q,
        "lang": chosen,
        **WORDS,
    }
    if is_htmx(request):
        return fragment(request, "kb/synonyms/_list.html", **context)
    return page(request, "kb/synonyms/list.html", **context)


@get("/search/synonyms/new")
async def ask_new(request: AnyRequest, member: Member) -> Template:
    """The form for a new group; ``?words=`` fills it in."""
    words = request.query_params.get("words", "")[:TEXT_LIMIT]
    initial = {"words": words, "locale": member.locale, "request_key": str(uuid.uuid4())}
    return page(request, "kb/synonyms/new.html", form=Form(initial=initial), **WORDS)


@post("/search/synonyms/new", status_code=200)
async def propose(request: AnyRequest, member: Member, form: Form, synonyms: Synonyms) -> Template | Redirect:
    """Propose a new group."""
    wording, reason = _wording(form), _reason(form)
    if form.ok:
        try:
            group_id = await synonyms.propose(member, wording, reason, request_key=_key(form))
        except (Invalid, Conflict) as error:
            _refuse(form, error)
        else:
            toast(request, N_("Your proposal waits for a colleague’s yes."))
            return redirect(f"/search/synonyms/{group_id}")
    return page(request, "kb/synonyms/new.html", status_code=_status(form), form=form, **WORDS)


@post("/search/synonyms/preview", status_code=200)
async def preview(request: AnyRequest, form: Form, synonyms: Synonyms, previews: Preview) -> Template:
    """What a group would change, while it is typed."""
    wording, group_id = _wording(form), form.optional_identity("group") or 0
    refusal: AppError | None = None
    try:
        await synonyms.check(wording, group_id=group_id)
    except (Invalid, Conflict) as error:
        refusal = error
    effects = await previews.effects(wording) if refusal is None and form.ok else ()
    typed = bool(form.value("words").strip())
    return fragment(request, "kb/synonyms/_preview.html", effects=effects, refusal=refusal if typed else None)


@get("/search/synonyms/{group_id:int}")
async def show(
    request: AnyRequest, group_id: FromPath[int], member: Member, synonyms: Synonyms, previews: Preview
) -> Template:
    """A group: its words, what is proposed, and its history."""
    return await _group_page(request, group_id, member, synonyms, previews)


async def _group_page(
    request: AnyRequest,
    group_id: int,
    member: Member,
    synonyms: Synonyms,
    previews: Preview,
    form: Form | None = None,
) -> Template:
    history = await synonyms.history(group_id)
    head, judged = history.head, history.proposal
    initial = {
        "words": ", ".join(head.words), "locale": head.locale, "seen": head.id, "request_key": str(uuid.uuid4())
    }  # fmt: skip
    return page(
        request,
        "kb/synonyms/group.html",
        status_code=_status(form) if form else 200,
        history=history,
        effects=await previews.effects(judged.wording) if judged and not judged.removes else (),
        form=form or Form(initial=initial),
        **WORDS,
    )


@post("/search/synonyms/{group_id:int}/propose", status_code=200)
async def propose_change(
    request: AnyRequest, group_id: FromPath[int], member: Member, form: Form, synonyms: Synonyms, previews: Preview
) -> Template | Redirect:
    """Propose another wording of a group, or its end."""
    wording, reason = _wording(form), _reason(form)
    seen, removes = form.identity("seen"), form.flag("removes")
    if form.ok:
        try:
            if removes:
                wording = (await synonyms.history(group_id)).head.wording
            await synonyms.propose_change(
                member, group_id, wording, reason, seen=seen, removes=removes, request_key=_key(form)
            )
        except (Invalid, Conflict) as error:
            _refuse(form, error)
        else:
            toast(request, N_("Your proposal waits for a colleague’s yes."))
            return redirect(f"/search/synonyms/{group_id}")
    return await _group_page(request, group_id, member, synonyms, previews, form)


@post("/search/synonyms/proposals/{version_id:int}/approve")
async def approve(request: AnyRequest, version_id: FromPath[int], member: Member, synonyms: Synonyms) -> Redirect:
    """Approve what another member proposed; it is in force at once."""
    version = await synonyms.approve(member, version_id)
    toast(
        request, N_("The group is ended.") if version.removes else N_("The group is in force: the search uses it now.")
    )
    return redirect(version.url)


@post("/search/synonyms/proposals/{version_id:int}/refuse")
async def refuse(
    request: AnyRequest, version_id: FromPath[int], member: Member, form: Form, synonyms: Synonyms
) -> Redirect:
    """Refuse what another member proposed, and say why."""
    remark = form.text("remark", limit=REASON_LIMIT)
    form.check()
    version = await synonyms.refuse(member, version_id, remark)
    toast(request, N_("The proposal is refused; its author reads why."))
    return redirect(version.url)


@post("/search/synonyms/proposals/{version_id:int}/take-back")
async def take_back(request: AnyRequest, version_id: FromPath[int], member: Member, synonyms: Synonyms) -> Redirect:
    """Take one's own proposal back."""
    version = await synonyms.take_back(member, version_id)
    toast(request, N_("Your proposal is taken back."))
    return redirect(version.url)


def _wording(form: Form) -> Wording:
    typed = form.lines("words", limit=TEXT_LIMIT, required=False)
    return Wording(locale=form.one_of("locale", ("", *LOCALES)), words=split(typed))


def _reason(form: Form) -> str:
    return form.text("reason", limit=REASON_LIMIT)


def _key(form: Form) -> str | None:
    """The request's own UUID; anything else is as good as none."""
    try:
        return str(uuid.UUID(form.value("request_key")))
    except ValueError:
        return None


def _refuse(form: Form, error: AppError) -> None:
    field = getattr(error, "field", None) or ("words" if isinstance(error, Conflict) else "")
    form.refuse(field, error.message, **error.params)


def _status(form: Form) -> int:
    return 200 if form.ok else 422


HANDLERS: Sequence[ControllerRouterHandler] = (
    listed, ask_new, propose, preview, show, propose_change, approve, refuse, take_back
)  # fmt: skip

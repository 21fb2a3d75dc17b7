"""Writing a procedure: the editor, its live findings and preview, and what happens when two write at once."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.errors import AppError, Invalid
from compagnon.i18n import N_, gettext
from compagnon.markup.differences import pieces
from compagnon.web.forms import Form
from compagnon.web.render import fragment, page, redirect, toast
from kb.articles.service import Articles
from procedures.library import article_links, texts
from procedures.library.errors import EditConflict, NotReady
from procedures.library.model import TEXT_LIMIT, Version
from procedures.library.service import Library
from procedures.library.web import common, language

AnyRequest = Request[Any, Any, Any]
MAX_TITLE = 256  # characters of a title that comes from a search


@get("/procedures/new")
async def new(request: AnyRequest, member: Member, articles: Articles) -> Template:
    """The editor with an empty procedure (``?title=``: what was searched and not found), or made from ``?article=``."""
    asked = Form(dict(request.query_params))
    article_id = asked.optional_identity("article")
    if article_id is None:
        title = asked.text("title", limit=MAX_TITLE, required=False) or gettext(N_("What this procedure does"))
        return _editor(request, texts.skeleton(None, member.locale, title), action="/procedures/new", key="new")
    article = await articles.get(article_id)
    text = article_links.drafted(article, article.locale)
    return _editor(request, text, action="/procedures/new", key=f"article-{article_id}", article_id=article_id)


@post("/procedures/new")
async def create(request: AnyRequest, form: Form, member: Member, library: Library) -> Template | Redirect:
    """Keep a new draft, of a new procedure or of a changed one."""
    text, reason = _text(form), form.lines("reason", limit=2000, required=False)
    article_id = form.optional_identity("article")
    try:
        form.check()
        version = await library.create(text, member, reason=reason, article_id=article_id)
    except (Invalid, NotReady) as error:
        return _editor(request, text, action="/procedures/new", key="new", refusal=error, article_id=article_id)
    toast(request, N_("The draft is kept."))
    return redirect(f"/reviews/{version.id}/edit")


@get("/procedures/{code:str}/edit")
async def edit_published(
    request: AnyRequest, code: FromPath[str], member: Member, library: Library
) -> Template | Redirect:
    """The member's open draft of this procedure, else an editor that begins with the text in force."""
    base = await library.latest(code, language(request, member))
    for draft in await library.drafts_of(base.code):
        if draft.author_id == member.id and draft.locale == base.locale:
            return redirect(f"/reviews/{draft.id}/edit")
    return _editor(request, base.text, action="/procedures/new", key=f"{base.code}-{base.locale}", base=base)


@get("/reviews/{version_id:int}/edit")
async def edit(request: AnyRequest, version_id: FromPath[int], library: Library) -> Template | Redirect:
    """The editor with a draft."""
    version = await library.get(version_id)
    if not version.open:
        return redirect(version.url)
    return _editor(request, version.text, action=_action(version), key=f"draft-{version.id}", draft=version)


@post("/reviews/{version_id:int}/edit")
async def save(
    request: AnyRequest, version_id: FromPath[int], form: Form, member: Member, library: Library
) -> Template | Redirect:
    """Keep a draft and, if asked, send it to review; what someone else changed meanwhile is shown."""
    text, seen = _text(form), form.text("seen", limit=64)
    reason = form.lines("reason", limit=2000, required=False)
    submit = form.value("then") == "submit"
    try:
        form.check()
        version = await library.save(version_id, text, member, seen=seen, reason=reason)
        if submit:
            await library.submit(version_id, member, seen=version.digest)
    except EditConflict as conflict:
        return _conflict(request, conflict, reason)
    except (Invalid, NotReady) as error:
        draft = await library.get(version_id)
        return _editor(request, text, action=_action(draft), key=f"draft-{version_id}", draft=draft, refusal=error)
    toast(request, N_("It is in review now.") if submit else N_("The draft is kept."))
    return redirect(f"/reviews/{version_id}" if submit else f"/reviews/{version_id}/edit")


@post("/procedures/check", status_code=200)
async def check(request: AnyRequest, form: Form, library: Library) -> Template:
    """The findings and the preview of what is in the editor now (htmx)."""
    try:
        reading = await library.read(form.value("text"))
    except Invalid as error:
        return fragment(request, "procedures/_check.html", reading=None, refusal=error, **common())
    return fragment(request, "procedures/_check.html", reading=reading, refusal=None, **common())


def _text(form: Form) -> str:
    """As typed: not trimmed, bounded by bytes later."""
    text = form.value("text")
    if len(text) > TEXT_LIMIT:
        form.refuse("text", N_("A procedure has {limit} kB of text at most."), limit=TEXT_LIMIT // 1024)
    return text


def _action(version: Version) -> str:
    return f"/reviews/{version.id}/edit"


def _editor(
    request: AnyRequest,
    text: str,
    *,
    action: str,
    key: str,
    draft: Version | None = None,
    base: Version | None = None,
    refusal: AppError | None = None,
    article_id: int | None = None,
) -> Template:
    return page(
        request,
        "procedures/edit.html",
        status_code=422 if refusal else 200,
        text=text,
        action=action,
        key=key,
        draft=draft,
        base=base,
        refusal=refusal,
        article_id=article_id,
        **common(),
    )


def _conflict(request: AnyRequest, conflict: EditConflict, reason: str) -> Template:
    return page(
        request,
        "procedures/conflict.html",
        status_code=409,
        current=conflict.current,
        typed=conflict.typed,
        reason=reason,
        pieces=pieces(conflict.current.text, conflict.typed),
        **common(),
    )


HANDLERS = [new, create, edit_published, edit, save, check]

"""Phone capture: one screen from the call to the ticket, every part of it also working without JavaScript."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Controller, get, post
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.directory.model import ClientKind
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import fragment, page, redirect
from kb.suggestions.model import Place
from tickets.capture.service import Capture, ClientCard, Likely, NewCaller, looks_like_number
from tickets.desk.model import SYMPTOM_LIMIT, TITLE_LIMIT, Impact, NewTicket, Urgency, priority
from tickets.desk.service import Desk
from tickets.web import AnyRequest, query_form, words

KIND_OPTIONS = [(ClientKind.COMPANY.value, N_("Company")), (ClientKind.PERSON.value, N_("Person"))]
CHOOSE_CLIENT = N_("Please choose who calls, or add them.")


class CapturePages(Controller):
    path = "/tickets/new"

    @get("/")
    async def show(
        self, request: AnyRequest, member: Member, capture: Capture, members: Members, ticket_desk: Desk
    ) -> Template:
        """The form for a call; ``?client=``, ``?machine=``, ``?q=`` (searched before) and ``?follows=`` fill it in."""
        asked = query_form(request)
        initial = await _initial(asked, member, ticket_desk)
        form = Form(initial=initial)
        return await _page(request, form, member, capture, members, restore=not request.query_params)

    @post("/", status_code=200)
    async def create(
        self,
        request: AnyRequest,
        member: Member,
        form: Form,
        capture: Capture,
        members: Members,
        ticket_desk: Desk,
    ) -> Template | Redirect:
        """Open a ticket; the same form sent twice opens one."""
        if form.value("do") in {"refresh", "add-caller"} or form.value("pick"):
            return await self._without_script(request, member, form, capture, members)
        new = await _typed(form, member, capture)
        if new is not None and form.ok:
            try:
                ticket_id = await ticket_desk.open(new, member)
                return redirect(_after(form, ticket_id, new))
            except (Invalid, NotFound, Conflict) as error:
                form.refuse(getattr(error, "field", None) or "", error.message, **error.params)
        return await _page(request, form, member, capture, members, status_code=422)

    async def _without_script(
        self, request: AnyRequest, member: Member, form: Form, capture: Capture, members: Members
    ) -> Template:
        """The same form again, with what was looked up: what htmx does in parts."""
        if form.value("do") == "add-caller":
            await _add_caller(form, member, capture)
        if form.value("pick"):
            form = _with(form, client_id=form.value("pick"), machine_id="", site_id="")
        return await _page(request, form, member, capture, members)

    @post("/callers", status_code=200)
    async def callers(self, request: AnyRequest, form: Form, capture: Capture) -> Template:
        """Who it may be, as the name or the number is typed."""
        typed = form.value("caller")[:100]
        found = await capture.callers(typed)
        return fragment(request, "tickets/new/_callers.html", callers=found, typed=typed)

    @post("/client", status_code=200)
    async def client(self, request: AnyRequest, form: Form, member: Member, capture: Capture) -> Template:
        """The chosen client's card."""
        chosen = form.value("pick") or form.value("client_id")
        form = _with(form, client_id=chosen, machine_id=form.value("machine_id") if not form.value("pick") else "")
        shown = await _shown(form, member, capture)
        return fragment(request, "tickets/new/_client.html", form=form, **shown)

    @post("/caller", status_code=200)
    async def add_caller(self, request: AnyRequest, form: Form, member: Member, capture: Capture) -> Template:
        """Add who calls for the first time, then show their card."""
        form = await _add_caller(form, member, capture)
        shown = await _shown(form, member, capture)
        return fragment(request, "tickets/new/_client.html", form=form, **shown)

    @post("/suggestions", status_code=200)
    async def suggestions(self, request: AnyRequest, form: Form, member: Member, capture: Capture) -> Template:
        """Likely procedures, articles, and open tickets that look the same, while the symptom is typed."""
        likely = await _suggestions(form, member, capture)
        return fragment(request, "tickets/new/_suggestions.html", likely=likely, place=_place(form), **words())

    @post("/priority", status_code=200)
    async def priority(self, request: AnyRequest, form: Form) -> Template:
        """The priority that the chosen impact and urgency make."""
        return fragment(request, "tickets/new/_priority.html", priority=_priority(form), **words())


def _with(form: Form, **changes: str) -> Form:
    """The same form with some fields set."""
    names = (*FIELDS, *changes)
    return Form({**{name: form.value(name) for name in names}, **changes})


FIELDS = (
    "caller", "client_id", "site_id", "machine_id", "caller_name", "caller_phone", "title", "symptom", "impact",
    "urgency", "skill", "owner", "follows_id", "request_key", "new_kind", "new_name", "new_contact", "new_phone",
    "new_town", "new_postcode",
)  # fmt: skip


async def _initial(asked: Form, member: Member, ticket_desk: Desk) -> dict[str, Any]:
    searched = asked.text("q", limit=100, required=False)
    follows_id = asked.optional_identity("follows")
    initial: dict[str, Any] = {
        "request_key": str(uuid.uuid4()),
        "owner": "me",
        "impact": Impact.MEDIUM.value,
        "urgency": Urgency.MEDIUM.value,
        "client_id": asked.optional_identity("client") or "",
        "machine_id": asked.optional_identity("machine") or "",
        "caller": searched,
        "new_kind": ClientKind.COMPANY.value,
        "new_phone": searched if looks_like_number(searched) else "",
    }
    if follows_id is None:
        return initial
    before = await ticket_desk.get(follows_id)
    known = {"client_id": before.client_id, "machine_id": before.machine_id or "", "site_id": before.site_id or ""}
    said = {"title": before.title, "caller_name": before.caller_name, "caller_phone": before.caller_phone}
    return {**initial, **known, **said, "follows_id": before.id}


async def _typed(form: Form, member: Member, capture: Capture) -> NewTicket | None:
    """The ticket as the form says it; None when there is no client yet."""
    client_id = form.optional_identity("client_id")
    symptom = form.lines("symptom", limit=SYMPTOM_LIMIT, required=False)
    title = form.text("title", limit=TITLE_LIMIT, required=False) or _title_from(symptom)
    if not title:
        form.refuse("symptom", N_("Please say what is wrong."))
    if client_id is None:
        form.refuse("caller", CHOOSE_CLIENT)
        return None
    site_id = form.optional_identity("site_id")
    card = await _card(str(client_id), capture)
    if card is None:
        form.refuse("caller", CHOOSE_CLIENT)
        return None
    return NewTicket(
        client_id=client_id,
        site_id=site_id if site_id in {site.id for site in card.sheet.sites} else None,
        machine_id=form.optional_identity("machine_id"),
        caller_name=form.text("caller_name", limit=120, required=False),
        caller_phone=form.text("caller_phone", limit=40, required=False),
        title=title,
        symptom=symptom,
        impact=form.choice("impact", Impact, default=Impact.MEDIUM),
        urgency=form.choice("urgency", Urgency, default=Urgency.MEDIUM),
        skill=form.text("skill", limit=40, required=False) or None,
        departement=card.departement(site_id),
        owner_id=member.id if form.value("owner") == "me" else None,
        follows_id=form.optional_identity("follows_id"),
        request_key=form.text("request_key", limit=40, required=False) or None,
    )


def _title_from(symptom: str) -> str:
    """The first line, cut at a word: a ticket needs a title, the phone leaves no time for one."""
    line = symptom.strip().partition("\n")[0]
    return line if len(line) <= 100 else line[:100].rsplit(" ", 1)[0] + "…"


def _after(form: Form, ticket_id: int, new: NewTicket) -> str:
    """Where to go next: the run that was chosen with the ticket, else the ticket."""
    code = form.value("start")[:64]
    if not code:
        return f"/tickets/{ticket_id}?done={new.request_key or ''}"
    asked = {"ticket": ticket_id, "machine": new.machine_id, "done": new.request_key}
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"/procedures/{urlencode({'': code})[1:]}/start?{query}"


async def _add_caller(form: Form, member: Member, capture: Capture) -> Form:
    kind = form.choice("new_kind", ClientKind, default=ClientKind.COMPANY)
    name = form.text("new_name", limit=200)
    new = NewCaller(
        kind=kind,
        name=name,
        contact=form.text("new_contact", limit=120, required=False),
        phone=form.text("new_phone", limit=40, required=False),
        town=form.text("new_town", limit=120, required=False),
        postcode=form.text("new_postcode", limit=12, required=False),
    )
    if not form.ok:
        return form
    try:
        client_id = await capture.add_caller(new, member)
    except (Invalid, Conflict) as error:
        form.refuse(NEW_FIELDS.get(getattr(error, "field", None) or "", "new_name"), error.message, **error.params)
        return form
    return _with(form, client_id=str(client_id), caller_name=new.contact or new.name, caller_phone=new.phone)


NEW_FIELDS = {
    "number": "new_phone",
    "postcode": "new_postcode",
    "departement": "new_postcode",
    "town": "new_town",
    "contact": "new_contact",
}


async def _card(client_id: str, capture: Capture) -> ClientCard | None:
    if not client_id.isascii() or not client_id.isdigit() or len(client_id) > 18:
        return None
    try:
        return await capture.card(int(client_id))
    except NotFound:
        return None


async def _suggestions(form: Form, member: Member, capture: Capture) -> Likely:
    machine, client = form.value("machine_id"), form.value("client_id")
    return await capture.suggest(
        f"{form.value('title')} {form.value('symptom')}"[:SYMPTOM_LIMIT],
        machine_id=_number(machine),
        client_id=_number(client),
        locale=member.locale,
    )


def _place(form: Form) -> Place:
    return Place(machine=_number(form.value("machine_id")))


def _number(raw: str) -> int | None:
    return int(raw) if raw.isascii() and raw.isdigit() and 0 < len(raw) <= 18 and int(raw) else None


def _priority(form: Form) -> int:
    impact = form.choice("impact", Impact, default=Impact.MEDIUM)
    return priority(impact, form.choice("urgency", Urgency, default=Urgency.MEDIUM))


async def _shown(form: Form, member: Member, capture: Capture) -> Mapping[str, Any]:
    return {
        "card": await _card(form.value("client_id"), capture),
        "kind_options": KIND_OPTIONS,
        "member": member,
        **words(),
    }


async def _page(
    request: AnyRequest,
    form: Form,
    member: Member,
    capture: Capture,
    members: Members,
    *,
    status_code: int = 200,
    restore: bool = False,
) -> Template:
    shown = await _shown(form, member, capture)
    return page(
        request,
        "tickets/new.html",
        status_code=status_code,
        form=form,
        callers=await capture.callers(form.value("caller")) if shown["card"] is None else (),
        typed=form.value("caller"),
        likely=await _suggestions(form, member, capture),
        place=_place(form),
        priority=_priority(form),
        skills=await members.all_skills(locale=member.locale),
        impacts=tuple(Impact),
        urgencies=tuple(Urgency),
        restore=restore,
        **shown,
    )

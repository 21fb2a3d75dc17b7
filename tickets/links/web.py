"""Link a ticket with another, from its page."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get, post
from litestar.params import FromPath, Parameter
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.errors import Conflict, Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import fragment, page, redirect, toast
from tickets.desk.story import Stories
from tickets.desk.web import shown
from tickets.links.model import LinkKind, number_of
from tickets.links.service import Links
from tickets.web import AnyRequest, words

TEXT_LIMIT = 200
CHOOSE = N_("Please choose one of these tickets, or type its number.")
NONE_FOUND = N_("No other ticket is found by these words.")


class LinkPages(Controller):
    path = "/tickets/{ticket_id:int}/links"

    @get("/candidates")
    async def candidates(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        member: Member,
        links: Links,
        other: Annotated[str, Parameter(max_length=4_000)] = "",
    ) -> Template:
        """Tickets that may be linked, while a number or words are typed."""
        found = await links.candidates(ticket_id, member, other[:TEXT_LIMIT]) if other.strip() else ()
        return fragment(request, "tickets/_link_candidates.html", candidates=found, asked=other.strip(), **words())

    @post("/", status_code=200)
    async def add(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        member: Member,
        form: Form,
        links: Links,
        stories: Stories,
        members: Members,
    ) -> Template | Redirect:
        """Link a ticket with the one that was chosen, or whose number was typed."""
        kind = form.choice("kind", LinkKind, default=LinkKind.RELATED)
        typed = form.text("other", limit=TEXT_LIMIT, required=False)
        other_id = form.optional_identity("other_id") or number_of(typed)
        if form.ok and await _added(links, ticket_id, member, kind, other_id, form):
            toast(request, N_("The tickets are linked."))
            return redirect(f"/tickets/{ticket_id}#links")
        found = await links.candidates(ticket_id, member, typed) if typed else ()
        if other_id is None:
            form.refuse("other", CHOOSE if found or not typed else NONE_FOUND)
        context = await shown(await stories.of(ticket_id), member, members)
        changed = {"link_form": form, "candidates": found, "asked": typed if found else ""}
        return page(request, "tickets/show.html", status_code=422, **{**context, **changed})

    @post("/{link_id:int}/remove", status_code=303)
    async def remove(
        self, request: AnyRequest, ticket_id: FromPath[int], link_id: FromPath[int], member: Member, links: Links
    ) -> Redirect:
        """Take a link between two tickets away."""
        removed = await links.remove(ticket_id, member, link_id)
        toast(request, N_("The link is removed.") if removed else N_("The link was removed already."))
        return redirect(f"/tickets/{ticket_id}#links")


async def _added(
    links: Links, ticket_id: int, member: Member, kind: LinkKind, other_id: int | None, form: Form
) -> bool:
    """False when nothing was chosen or it is refused; the form then says why."""
    if other_id is None:
        return False
    try:
        await links.add(ticket_id, member, kind, other_id)
    except (Conflict, Invalid) as error:
        form.refuse("other", error.message, **error.params)
        return False
    return True

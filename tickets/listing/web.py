"""The list of tickets."""

from __future__ import annotations

from litestar import Controller, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import fragment, is_htmx, page, redirect, toast
from tickets.listing.model import OPEN, STATE_CHOICES, TEXT_LIMIT, Cursor, Owner, Sort, TicketFilter
from tickets.listing.service import NAME_LIMIT, QUERY_LIMIT, TicketList
from tickets.web import STATE_LABELS, AnyRequest, query_form, words

STATE_OPTIONS = [
    ("open", N_("All open")),
    ("all", N_("All")),
    *((str(key), text) for key, text in STATE_LABELS.items()),
]
OWNER_OPTIONS = [
    (Owner.ANYONE.value, N_("Anyone")),
    (Owner.MINE.value, N_("Mine")),
    (Owner.NOBODY.value, N_("Unassigned")),
    (Owner.HELPING.value, N_("I help with")),
]
SORT_OPTIONS = [
    (Sort.UPDATED.value, N_("Last changed first")),
    (Sort.CREATED.value, N_("Newest first")),
    (Sort.PRIORITY.value, N_("Most urgent first")),
]


class TicketListPages(Controller):
    path = "/tickets"

    @get("/")
    async def list_tickets(
        self, request: AnyRequest, member: Member, ticket_list: TicketList, members: Members
    ) -> Template:
        """The tickets; filters are a query string, so that every list has an address that can be kept and sent."""
        form = query_form(request, initial={"state": OPEN, "sort": Sort.UPDATED.value})
        wanted = read_filter(form, member)
        listing = await ticket_list.page(wanted, counted=wanted.after is None)
        shown = {"listing": listing, "wanted": wanted, "form": form, **words()}
        if is_htmx(request):
            return fragment(request, "tickets/_list.html", **shown)
        return page(
            request,
            "tickets/list.html",
            saved=await ticket_list.saved(member),
            skills=await members.all_skills(locale=member.locale),
            departements=await ticket_list.departements(),
            state_options=STATE_OPTIONS,
            owner_options=OWNER_OPTIONS,
            sort_options=SORT_OPTIONS,
            **shown,
        )

    @post("/filters", status_code=303)
    async def keep_filter(self, request: AnyRequest, member: Member, form: Form, ticket_list: TicketList) -> Redirect:
        """Keep the filters of a list under a name."""
        name = form.text("name", limit=NAME_LIMIT)
        asked = form.text("query", limit=QUERY_LIMIT, required=False)
        form.check()
        await ticket_list.keep(member, name, asked)
        toast(request, N_("The filter “{name}” is kept."), name=name)
        return redirect(f"/tickets?{asked}")

    @post("/filters/{filter_id:int}/remove", status_code=303)
    async def forget_filter(
        self, request: AnyRequest, filter_id: FromPath[int], member: Member, ticket_list: TicketList
    ) -> Redirect:
        """Remove a kept filter."""
        await ticket_list.forget(member, filter_id)
        toast(request, N_("The filter is removed."))
        return redirect("/tickets")


def read_filter(form: Form, member: Member) -> TicketFilter:
    """What the address asks for; whatever is not understood does not filter."""
    sort = form.choice("sort", Sort, default=Sort.UPDATED)
    return TicketFilter(
        member_id=member.id,
        state=form.one_of("state", STATE_CHOICES, default=OPEN) or OPEN,
        owner=form.choice("owner", Owner, default=Owner.ANYONE),
        priority=form.optional_integer("priority", minimum=1, maximum=5),
        client_id=form.optional_identity("client"),
        machine_id=form.optional_identity("machine"),
        skill=form.text("skill", limit=40, required=False),
        departement=form.text("departement", limit=3, required=False),
        text=form.text("q", limit=TEXT_LIMIT, required=False),
        sort=sort,
        after=Cursor.read(form.text("after", limit=80, required=False), sort),
    )

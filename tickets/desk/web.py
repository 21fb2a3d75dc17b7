"""The ticket's page and what is done on it."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from litestar import Controller, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.errors import Conflict, Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import fragment, page, redirect, toast
from kb.suggestions.model import Place, Suggestion, Suggestions
from kb.suggestions.service import Suggesting
from procedures.runs.model import Run
from procedures.runs.service import Runs
from procedures.words import WORDS
from remote.sessions.service import Sessions
from remote.sessions.web import asked_for
from tickets.capture.service import Capture
from tickets.desk.model import (
    MESSAGE_LIMIT,
    MINUTES_LIMIT,
    REASON_LIMIT,
    TITLE_LIMIT,
    Impact,
    State,
    Ticket,
    Urgency,
    Visibility,
    next_states,
)
from tickets.desk.service import Desk
from tickets.desk.story import Stories, Story
from tickets.links.model import LinkKind
from tickets.web import AnyRequest, words

RELATED = 3
TYPED_MINIMUM = 8  # characters of a message; fewer are no question


class TicketPages(Controller):
    path = "/tickets"

    @get("/{ticket_id:int}")
    async def show(
        self, request: AnyRequest, ticket_id: FromPath[int], member: Member, stories: Stories, members: Members
    ) -> Template:
        """A ticket: symptom, likely procedures, conversation, runs, sessions, calls."""
        story = await stories.of(ticket_id)
        return page(request, "tickets/show.html", **await shown(story, member, members))

    @get("/{ticket_id:int}/fragment")
    async def part(
        self, request: AnyRequest, ticket_id: FromPath[int], member: Member, stories: Stories, members: Members
    ) -> Template:
        """The parts that change; refetched when something happens to the ticket."""
        story = await stories.of(ticket_id)
        return fragment(request, "tickets/_live.html", **await shown(story, member, members))

    @get("/{ticket_id:int}/procedures")
    async def procedures(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        member: Member,
        ticket_desk: Desk,
        capture: Capture,
        runs: Runs,
        suggesting: Suggesting,
    ) -> Template:
        """Likely procedures and articles for the ticket as it is now; after a run, what is related to it."""
        ticket = await ticket_desk.get(ticket_id)
        found = await capture.library(
            f"{ticket.title} {ticket.symptom}",
            machine_id=ticket.machine_id,
            locale=member.locale,
            procedures=3,
            articles=2,
        )
        followed = await runs.for_ticket(ticket_id)
        run = followed[-1] if followed else None
        shown = {item.hit.key for item in found.items}
        return fragment(
            request,
            "tickets/_procedures.html",
            found=found,
            run=run,
            waiting=await runs.waiting_for_ticket(ticket_id),
            words=WORDS,
            related=await _related(suggesting, run, shown) if run else (),
            place=_place(ticket),
            brief=replace(_place(ticket), brief=True),
        )

    @post("/{ticket_id:int}/suggestions", status_code=200)
    async def suggestions(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        member: Member,
        form: Form,
        ticket_desk: Desk,
        capture: Capture,
    ) -> Template:
        """What the library has about the message or the title that is being typed."""
        ticket = await ticket_desk.get(ticket_id)
        body, title = form.value("body").strip()[-MESSAGE_LIMIT:], form.value("title").strip()[:TITLE_LIMIT]
        found = Suggestions()
        if len(body) >= TYPED_MINIMUM or title not in {"", ticket.title}:
            found = await capture.library(
                f"{title} {body}", machine_id=ticket.machine_id, locale=member.locale, procedures=2, articles=3
            )
        place = replace(_place(ticket), insert="f-body", brief=True)
        return fragment(request, "kb/suggestions/_list.html", items=found.items, place=place)

    @post("/{ticket_id:int}/messages", status_code=200)
    async def say(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        member: Member,
        form: Form,
        ticket_desk: Desk,
        stories: Stories,
        members: Members,
    ) -> Template | Redirect:
        """Write to the client (public) or to the members (internal)."""
        body = form.lines("body", limit=MESSAGE_LIMIT)
        visibility = form.choice("visibility", Visibility, default=Visibility.INTERNAL)
        key = form.text("request_key", limit=40, required=False) or None
        if form.ok:
            try:
                await ticket_desk.say(ticket_id, member, body, visibility, request_key=key)
                return redirect(f"/tickets/{ticket_id}?done={key or ''}#latest")
            except (Conflict, Invalid) as error:
                form.refuse("body", error.message, **error.params)
        story = await stories.of(ticket_id)
        context = await shown(story, member, members)
        return page(request, "tickets/show.html", status_code=422, **{**context, "form": form})

    @post("/{ticket_id:int}/state", status_code=303)
    async def move(
        self, request: AnyRequest, ticket_id: FromPath[int], member: Member, form: Form, ticket_desk: Desk
    ) -> Redirect:
        """Change a ticket's state, with a reason where one is asked for."""
        to = form.choice("to", State)
        revision = form.integer("revision")
        reason = form.text("reason", limit=REASON_LIMIT, required=False)
        form.check()
        await ticket_desk.move(ticket_id, member, to=to, revision=revision, reason=reason)
        return redirect(f"/tickets/{ticket_id}")

    @post("/{ticket_id:int}/owner", status_code=303)
    async def assign(
        self, request: AnyRequest, ticket_id: FromPath[int], member: Member, form: Form, ticket_desk: Desk
    ) -> Redirect:
        """Take a ticket, give it to another member, or give it back."""
        owner_id = form.optional_identity("owner_id")
        revision = form.integer("revision")
        form.check()
        await ticket_desk.assign(ticket_id, member, owner_id=owner_id, revision=revision)
        if owner_id == member.id:
            toast(request, N_("The ticket is yours."))
        return redirect(f"/tickets/{ticket_id}")

    @post("/{ticket_id:int}/edit", status_code=303)
    async def edit(
        self, request: AnyRequest, ticket_id: FromPath[int], member: Member, form: Form, ticket_desk: Desk
    ) -> Redirect:
        """Change title, machine, skill, impact and urgency."""
        title = form.text("title", limit=TITLE_LIMIT)
        impact, urgency = form.choice("impact", Impact), form.choice("urgency", Urgency)
        skill = form.text("skill", limit=40, required=False) or None
        machine_id = form.optional_identity("machine_id")
        revision = form.integer("revision")
        form.check()
        await ticket_desk.edit(
            ticket_id,
            member,
            revision=revision,
            title=title,
            impact=impact,
            urgency=urgency,
            skill=skill,
            machine_id=machine_id,
        )
        toast(request, N_("Saved."))
        return redirect(f"/tickets/{ticket_id}")

    @post("/{ticket_id:int}/time", status_code=303)
    async def add_time(
        self, request: AnyRequest, ticket_id: FromPath[int], member: Member, form: Form, ticket_desk: Desk
    ) -> Redirect:
        """Account minutes of work on a ticket."""
        minutes = form.integer("minutes", minimum=1, maximum=MINUTES_LIMIT)
        note = form.text("note", limit=REASON_LIMIT, required=False)
        key = form.text("request_key", limit=40, required=False) or None
        form.check()
        await ticket_desk.add_time(ticket_id, member, minutes, note, request_key=key)
        toast(request, N_("The time is noted."))
        return redirect(f"/tickets/{ticket_id}")

    @post("/{ticket_id:int}/collaborators", status_code=303)
    async def add_collaborator(
        self, ticket_id: FromPath[int], member: Member, form: Form, ticket_desk: Desk
    ) -> Redirect:
        """Let another member work on a ticket."""
        collaborator_id = form.identity("member_id")
        form.check()
        await ticket_desk.add_collaborator(ticket_id, member, collaborator_id)
        return redirect(f"/tickets/{ticket_id}")

    @post("/{ticket_id:int}/collaborators/{collaborator_id:int}/remove", status_code=303)
    async def remove_collaborator(
        self, ticket_id: FromPath[int], collaborator_id: FromPath[int], member: Member, ticket_desk: Desk
    ) -> Redirect:
        """End a member's collaboration on a ticket."""
        await ticket_desk.remove_collaborator(ticket_id, member, collaborator_id)
        return redirect(f"/tickets/{ticket_id}")

    @post("/{ticket_id:int}/sessions", status_code=303)
    async def open_session(self, ticket_id: FromPath[int], member: Member, form: Form, sessions: Sessions) -> Redirect:
        """Ask the client for a session on their machine (``capability``), for this ticket and a reason."""
        machine_id = form.identity("machine_id")
        reason = form.text("reason", limit=REASON_LIMIT, minimum=3)
        capability, target = asked_for(form)
        form.check()
        opened = await sessions.open(machine_id, ticket_id, reason, member, capability=capability, target=target)
        return redirect(f"/sessions/{opened.id}")

    @post("/{ticket_id:int}/presence", status_code=200)
    async def look(
        self, request: AnyRequest, ticket_id: FromPath[int], member: Member, form: Form, ticket_desk: Desk
    ) -> Template:
        """The page says that it is open, and whether something is being typed; answers who else is here."""
        await ticket_desk.get(ticket_id)
        others = await ticket_desk.look(ticket_id, member, typing=form.flag("typing"))
        return fragment(request, "tickets/_presence.html", others=others)


async def _related(suggesting: Suggesting, run: Run, shown: Collection[str]) -> list[Suggestion]:
    """What is related to the procedure that was followed, without what is shown already."""
    related = await suggesting.related("procedure", f"{run.code}.{run.locale}", limit=RELATED + len(shown))
    return [item for item in related if item.hit.key not in shown][:RELATED]


def _place(ticket: Ticket) -> Place:
    return Place(ticket=ticket.id, machine=ticket.machine_id, start=ticket.state is not State.CLOSED)


async def shown(story: Story, member: Member, members: Members) -> dict[str, Any]:
    """What the ticket's page needs, for every handler that answers with it."""
    ticket = story.ticket
    initial = {"visibility": Visibility.INTERNAL, "request_key": str(uuid.uuid4())}
    return {
        "story": story,
        "ticket": ticket,
        "form": Form(initial=initial),
        "time_key": str(uuid.uuid4()),
        "next_states": next_states(ticket.state),
        "works_here": story.works_here(member.id),
        "colleagues": await members.listed() if ticket.state is not State.CLOSED else (),
        "skills": await members.all_skills(locale=member.locale),
        "impacts": tuple(Impact),
        "urgencies": tuple(Urgency),
        "link_kinds": tuple(LinkKind),
        "link_form": Form(),
        "candidates": (),
        "asked": "",
        **words(),
    }

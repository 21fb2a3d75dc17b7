"""Calling an expert, and answering such a call."""

from __future__ import annotations

from litestar import Controller, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import fragment, page, redirect, toast
from remote.sessions.service import Sessions
from tickets.desk.model import Ticket
from tickets.desk.service import Desk
from tickets.escalation.model import ANSWER_LIMIT, QUESTION_LIMIT, landing
from tickets.escalation.service import GONE, Escalations
from tickets.web import AnyRequest, query_form, words


@get("/tickets/asked")
async def asked(request: AnyRequest, member: Member, escalations: Escalations) -> Template:
    """The calls that wait for this member, shown in a corner of every page."""
    return fragment(request, "tickets/_asked.html", asked=await escalations.asked_of(member.id))


class EscalationPages(Controller):
    path = "/tickets/{ticket_id:int}"

    @get("/escalate")
    async def ask(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        member: Member,
        ticket_desk: Desk,
        escalations: Escalations,
        members: Members,
    ) -> Template:
        """The form to call an expert; ``?skill=&run=&step=`` come from a failed step. Who would be asked is shown."""
        ticket = await ticket_desk.get(ticket_id)
        asked = query_form(request)
        initial = {name: asked.value(name)[:64] for name in ("skill", "run", "step", "question")}
        form = Form(initial={**initial, "skill": initial["skill"] or ticket.skill or ""})
        return await _page(request, ticket, form, member, escalations, members)

    @get("/escalate/preview")
    async def preview(
        self, request: AnyRequest, ticket_id: FromPath[int], member: Member, ticket_desk: Desk, escalations: Escalations
    ) -> Template:
        """Who would be asked for a skill, in which order and why."""
        ticket = await ticket_desk.get(ticket_id)
        skill = query_form(request).text("skill", limit=40, required=False)
        ranked = await escalations.preview(ticket, skill, member) if skill else ()
        return fragment(request, "tickets/_candidates.html", ranked=ranked, skill=skill)

    @post("/escalate", status_code=200)
    async def call(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        member: Member,
        form: Form,
        ticket_desk: Desk,
        escalations: Escalations,
        members: Members,
        sessions: Sessions,
    ) -> Template | Redirect:
        """Call experts of a skill; the circle widens while nobody answers."""
        skill = form.text("skill", limit=40)
        question = form.lines("question", limit=QUESTION_LIMIT, required=False)
        run_id = form.optional_identity("run")
        step = form.text("step", limit=64, required=False) or None
        if form.ok:
            try:
                session_id = await _live_session(sessions, ticket_id)
                await escalations.call(
                    ticket_id,
                    member,
                    skill=skill,
                    question=question,
                    run_id=run_id,
                    step_id=step,
                    session_id=session_id,
                )
                toast(request, N_("The first experts are asked. You see here who answers."))
                return redirect(f"/tickets/{ticket_id}#calls")
            except (Invalid, Conflict) as error:
                form.refuse(getattr(error, "field", None) or "", error.message, **error.params)
        ticket = await ticket_desk.get(ticket_id)
        return await _page(request, ticket, form, member, escalations, members, status_code=422)

    @post("/calls/{escalation_id:int}/accept", status_code=303)
    async def accept(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        escalation_id: FromPath[int],
        member: Member,
        escalations: Escalations,
        sessions: Sessions,
    ) -> Redirect:
        """Join: the expert lands where the work is, in the live terminal or the run."""
        await _check_of(ticket_id, escalation_id, escalations)
        call = await escalations.accept(escalation_id, member)
        toast(request, N_("You have joined ticket {id}. Thank you!"), id=ticket_id)
        return redirect(landing(call, await _live_session(sessions, ticket_id)))

    @post("/calls/{escalation_id:int}/decline", status_code=303)
    async def decline(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        escalation_id: FromPath[int],
        member: Member,
        form: Form,
        escalations: Escalations,
    ) -> Redirect:
        """Decline a call, with a reason."""
        await _check_of(ticket_id, escalation_id, escalations)
        reason = form.text("reason", limit=ANSWER_LIMIT)
        form.check()
        await escalations.decline(escalation_id, member, reason)
        toast(request, N_("You declined; the others are asked."), kind="info")
        return redirect("/")

    @post("/calls/{escalation_id:int}/cancel", status_code=303)
    async def cancel(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        escalation_id: FromPath[int],
        member: Member,
        escalations: Escalations,
    ) -> Redirect:
        """Take a call back."""
        await _check_of(ticket_id, escalation_id, escalations)
        await escalations.cancel(escalation_id, member)
        toast(request, N_("The call is taken back."), kind="info")
        return redirect(f"/tickets/{ticket_id}#calls")


async def _check_of(ticket_id: int, escalation_id: int, escalations: Escalations) -> None:
    """The address must not name another ticket's call."""
    if (await escalations.get(escalation_id)).ticket_id != ticket_id:
        raise NotFound(GONE)


async def _live_session(sessions: Sessions, ticket_id: int) -> str | None:
    live = [session for session in await sessions.for_ticket(ticket_id) if session.live]
    return live[-1].id if live else None


async def _page(
    request: AnyRequest,
    ticket: Ticket,
    form: Form,
    member: Member,
    escalations: Escalations,
    members: Members,
    *,
    status_code: int = 200,
) -> Template:
    skill = form.value("skill")[:40]
    return page(
        request,
        "tickets/escalate.html",
        status_code=status_code,
        ticket=ticket,
        form=form,
        skill=skill,
        skills=await members.all_skills(locale=member.locale),
        ranked=await escalations.preview(ticket, skill, member) if skill and ticket.open else (),
        **words(),
    )

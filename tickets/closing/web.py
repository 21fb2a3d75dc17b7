"""The closing page: what the agent says of the result, the word about the procedure, the time."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, get, post
from litestar.params import FromPath, Parameter
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.errors import Conflict, Forbidden, Invalid
from compagnon.i18n import N_, gettext
from compagnon.web.forms import Form
from compagnon.web.render import page, redirect, toast
from procedures.library.service import Library
from procedures.runs.service import Runs
from remote.sessions.service import Sessions
from tickets.closing.model import (
    JUSTIFICATION_LIMIT,
    REMARK_LIMIT,
    RESOLUTION_LIMIT,
    CloseRequest,
    Verdict,
    needs_justification,
)
from tickets.closing.service import Closer
from tickets.desk.model import ID_LIMIT, MINUTES_LIMIT
from tickets.desk.service import Desk
from tickets.web import AnyRequest, words

DUPLICATE = N_("Duplicate of ticket {id}.")


class ClosingPages(Controller):
    path = "/tickets/{ticket_id:int}"

    @get("/close")
    async def show(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        member: Member,
        closer: Closer,
        runs: Runs,
        sessions: Sessions,
        ticket_desk: Desk,
        duplicate_of: Annotated[int | None, Parameter(ge=1, le=ID_LIMIT)] = None,
    ) -> Template | Redirect:
        """The form to close a ticket: result, resolution, time, whether the procedure was right."""
        ticket = await ticket_desk.get(ticket_id)
        if ticket.closed_at:
            return redirect(ticket.url)
        initial: dict[str, Any] = {"revision": ticket.revision, "minutes": await _minutes(runs, ticket_id)}
        if duplicate_of:
            initial |= {"resolution": gettext(DUPLICATE, id=duplicate_of), "verdict": Verdict.NONE}
        return await _page(request, ticket_id, Form(initial=initial), closer, runs, sessions, ticket_desk)

    @post("/close", status_code=200)
    async def close(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        member: Member,
        form: Form,
        closer: Closer,
        runs: Runs,
        sessions: Sessions,
        ticket_desk: Desk,
        library: Library,
    ) -> Template | Redirect:
        """Close a ticket; a wrong or missing procedure becomes a proposed change."""
        asked = _read(form)
        if form.ok:
            try:
                draft_id = await closer.close(ticket_id, member, asked)
                toast(request, N_("Ticket {id} is closed."), id=ticket_id)
                return redirect(await _draft_url(library, draft_id) if draft_id else f"/tickets/{ticket_id}")
            except (Invalid, Conflict, Forbidden) as error:
                form.refuse(getattr(error, "field", None) or "", error.message, **error.params)
        return await _page(request, ticket_id, form, closer, runs, sessions, ticket_desk, status_code=422)

    @post("/close/verify", status_code=303)
    async def verify(self, request: AnyRequest, ticket_id: FromPath[int], member: Member, closer: Closer) -> Redirect:
        """Look at the result on the machine now."""
        known = await closer.verify(ticket_id, member)
        if known and not needs_justification(known):
            toast(request, N_("The result holds on the machine."))
        return redirect(f"/tickets/{ticket_id}/close")

    @post("/propose", status_code=303)
    async def propose(
        self, request: AnyRequest, ticket_id: FromPath[int], member: Member, closer: Closer, library: Library
    ) -> Redirect:
        """Make the proposed change that closing should have made, or show it."""
        return redirect(await _draft_url(library, await closer.propose(ticket_id, member)))


def _read(form: Form) -> CloseRequest:
    return CloseRequest(
        revision=form.integer("revision"),
        resolution=form.lines("resolution", limit=RESOLUTION_LIMIT),
        verdict=form.choice("verdict", Verdict),
        run_id=form.optional_identity("run_id"),
        remark=form.lines("remark", limit=REMARK_LIMIT, required=False),
        justification=form.lines("justification", limit=JUSTIFICATION_LIMIT, required=False),
        minutes=form.optional_integer("minutes", minimum=0, maximum=MINUTES_LIMIT) or None,
    )


async def _draft_url(library: Library, draft_id: int) -> str:
    return (await library.get(draft_id)).url


async def _minutes(runs: Runs, ticket_id: int) -> int:
    """The runs' time, to be corrected by hand: rounded up to five minutes, as it is accounted."""
    seconds = await runs.time_for_ticket(ticket_id)
    return min(-(-seconds // 300) * 5, MINUTES_LIMIT)


async def _page(
    request: AnyRequest,
    ticket_id: int,
    form: Form,
    closer: Closer,
    runs: Runs,
    sessions: Sessions,
    ticket_desk: Desk,
    *,
    status_code: int = 200,
) -> Template:
    known = {item.run_id: item for item in await closer.verifications(ticket_id)}
    return page(
        request,
        "tickets/close.html",
        status_code=status_code,
        ticket=await ticket_desk.get(ticket_id),
        form=form,
        runs=await runs.for_ticket(ticket_id),
        known=known,
        explain=needs_justification(list(known.values())),
        live=[session for session in await sessions.for_ticket(ticket_id) if session.live],
        verdicts=tuple(Verdict),
        **words(),
    )

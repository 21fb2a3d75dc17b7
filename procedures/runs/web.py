"""The pages of runs: start, follow, watch, print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import Redirect, Response, Template

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.errors import AppError, Conflict, Forbidden, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import fragment, page, redirect, toast
from procedures.environments.service import Environments
from procedures.library.model import Version
from procedures.library.service import Library
from procedures.library.web import desktop_of, language
from procedures.ports import MachineGateway, MachineRef, Phase, TicketGate, TicketRef
from procedures.runs.acts import plan_of_version
from procedures.runs.board import RunView
from procedures.runs.failures import failure
from procedures.runs.model import NOTE_LIMIT, PICTURE_LIMIT, EvidenceKind, Outcome
from procedures.runs.plan import Plan
from procedures.runs.service import Runs
from procedures.shown import Html
from procedures.words import WORDS

AnyRequest = Request[Any, Any, Any]
UPLOAD_LIMIT = PICTURE_LIMIT + 64 * 1024  # bytes of the whole form


@get("/runs")
async def show_list(request: AnyRequest, member: Member, runs: Runs) -> Template:
    """The member's runs, those of others now, and those that ended lately."""
    active, ended = await runs.recent()
    mine = await runs.active_for(member)
    others = [run for run in active if run.member_id != member.id]
    return page(request, "procedures/runs.html", mine=mine, others=others, ended=ended, words=WORDS)


# starting


@get("/procedures/{code:str}/start")
async def ask_start(
    request: AnyRequest,
    code: FromPath[str],
    member: Member,
    library: Library,
    gateway: MachineGateway,
    gate: TicketGate,
) -> Template:
    """The parameters' form; ``?ticket=``, ``?machine=`` and ``?from=run:step`` say for what."""
    version = await library.published(code, language(request, member))
    plan = plan_of_version(version)
    defaults = {f"parameter-{p.name}": p.default or "" for p in plan.procedure.parameters}
    form = Form(dict(request.query_params), initial=defaults)
    return await _start_page(request, form, version, plan, gateway, gate)


async def _start_page(
    request: AnyRequest,
    form: Form,
    version: Version,
    plan: Plan,
    gateway: MachineGateway,
    gate: TicketGate,
    *,
    status_code: int = 200,
) -> Template:
    machine, ticket = await _place(form, gateway, gate)
    return page(
        request,
        "procedures/start.html",
        status_code=status_code,
        version=version,
        procedure=plan.procedure,
        choices={p.name: [(choice, choice) for choice in p.choices] for p in plan.procedure.parameters},
        form=form,
        machine=machine,
        ticket=ticket,
        fits=machine is None or not version.applies_to or machine.environment in version.applies_to,
        html=Html(),
        words=WORDS,
    )


async def _place(form: Form, gateway: MachineGateway, gate: TicketGate) -> tuple[MachineRef | None, TicketRef | None]:
    machine_id, ticket_id = form.optional_identity("machine"), form.optional_identity("ticket")
    machine = await gateway.reference(machine_id) if machine_id else None
    try:
        ticket = await gate.require_open(ticket_id) if ticket_id else None
    except Conflict as error:
        form.refuse("", error.message, **error.params)
        ticket = None
    return machine, ticket


@post("/procedures/{code:str}/start")
async def start(
    request: AnyRequest,
    code: FromPath[str],
    form: Form,
    member: Member,
    library: Library,
    runs: Runs,
    gateway: MachineGateway,
    gate: TicketGate,
) -> Template | Redirect:
    """Start a run of the version in force, on a machine and for a ticket where they are named."""
    version = await library.published(code, language(request, member))
    plan = plan_of_version(version)
    machine_id, ticket_id = form.optional_identity("machine"), form.optional_identity("ticket")
    parameters = {p.name: form.value(f"parameter-{p.name}") for p in plan.procedure.parameters}
    try:
        form.check()
        run = await runs.start(
            code,
            version.locale,
            machine_id,
            ticket_id,
            member,
            parameters,
            parent=_parent(form.text("from", limit=90, required=False)),
        )
    except Invalid as error:
        form.refuse_with(error)
    except (Conflict, Forbidden) as error:
        form.refuse("", error.message, **error.params)
    else:
        return redirect(run.url)
    return await _start_page(request, form, version, plan, gateway, gate, status_code=422)


def _parent(text: str) -> tuple[int, str] | None:
    """``12:s4``: the run and step that led here."""
    run_id, _, step = text.partition(":")
    return (int(run_id), step) if run_id.isascii() and run_id.isdigit() and len(run_id) < 19 and step else None


# following


async def _context(
    request: AnyRequest,
    run_id: int,
    member: Member,
    runs: Runs,
    library: Library,
    environments: Environments,
    gateway: MachineGateway,
) -> Mapping[str, Any]:
    seen = await runs.show(run_id)
    version = await library.get(seen.run.version_id)
    may_act = await runs.may_act(seen.run, member)
    branch = seen.position.branch if seen.position.blocked else None
    otherwise = [one.procedure for one in (branch, seen.step and seen.step.on_fail and seen.step.on_fail.then) if one]
    return {
        "seen": seen,
        "run": seen.run,
        "version": version,
        "machine": await machine_of(seen, gateway),
        "may_act": seen.run.active and may_act,
        "may_verify": may_act,
        "desktop": await desktop_of(version, member, environments),
        "titles": await library.titles([code for code in otherwise if code], member.locale),
        "html": Html(seen.run.parameters),
        "words": WORDS,
        "refusal": None,
        "failed": failure(seen),
    }


async def machine_of(seen: RunView, gateway: MachineGateway) -> MachineRef | None:
    """The machine of a run, when it has one that still is."""
    if seen.run.machine_id is None:
        return None
    try:
        return await gateway.reference(seen.run.machine_id)
    except NotFound:
        return None


@get("/runs/{run_id:int}")
async def show(
    request: AnyRequest,
    run_id: FromPath[int],
    member: Member,
    runs: Runs,
    library: Library,
    environments: Environments,
    gateway: MachineGateway,
    members: Members,
) -> Template:
    """A run: the step to do now, what was done, and the evidence."""
    context = await _context(request, run_id, member, runs, library, environments, gateway)
    others = [other for other in await members.listed() if other.id != context["run"].member_id]
    return page(request, "procedures/run.html", others=others, **context)


@get("/runs/{run_id:int}/fragment")
async def part(
    request: AnyRequest,
    run_id: FromPath[int],
    member: Member,
    runs: Runs,
    library: Library,
    environments: Environments,
    gateway: MachineGateway,
) -> Template:
    """What changes while a run is followed; refetched when something happens to it."""
    context = await _context(request, run_id, member, runs, library, environments, gateway)
    return fragment(request, "procedures/_run.html", **context)


@get("/runs/{run_id:int}/report")
async def report(
    request: AnyRequest,
    run_id: FromPath[int],
    member: Member,
    runs: Runs,
    library: Library,
    environments: Environments,
    gateway: MachineGateway,
) -> Template:
    """The intervention report, to be printed or kept by the client."""
    context = await _context(request, run_id, member, runs, library, environments, gateway)
    return page(request, "procedures/report.html", **context)


def _back(request: AnyRequest, run_id: int, error: AppError) -> Redirect:
    """The run's page as it is now, with the reason why nothing was done."""
    toast(request, error.message, kind="warning", **error.params)
    return redirect(f"/runs/{run_id}")


@post("/runs/{run_id:int}/outcome")
async def attest(request: AnyRequest, run_id: FromPath[int], form: Form, member: Member, runs: Runs) -> Redirect:
    """Say how the current step ended: done, failed, or skipped with a justification."""
    outcome = form.choice("outcome", Outcome)
    revision = form.integer("revision", minimum=1)
    justification = form.lines("justification", limit=2000, required=False)
    try:
        form.check()
        await runs.attest(run_id, member, revision=revision, outcome=outcome, justification=justification)
    except (Invalid, Conflict, Forbidden) as error:
        return _back(request, run_id, error)
    return redirect(f"/runs/{run_id}")


@post("/runs/{run_id:int}/ask")
async def ask(request: AnyRequest, run_id: FromPath[int], form: Form, member: Member, runs: Runs) -> Redirect:
    """Ask the agent to check, execute or verify the current step."""
    phase, revision = form.choice("phase", Phase), form.integer("revision", minimum=1)
    try:
        form.check()
        await runs.ask(run_id, member, revision=revision, phase=phase)
    except (Invalid, Conflict, Forbidden) as error:
        return _back(request, run_id, error)
    return redirect(f"/runs/{run_id}")


@post("/runs/{run_id:int}/attempts/{attempt_id:str}/again")
async def ask_again(
    request: AnyRequest, run_id: FromPath[int], attempt_id: FromPath[str], member: Member, runs: Runs
) -> Redirect:
    """Send an unanswered request to the agent once more; it never executes twice."""
    try:
        await runs.ask_again(run_id, member, attempt_id)
    except (Invalid, Conflict, Forbidden) as error:
        return _back(request, run_id, error)
    return redirect(f"/runs/{run_id}")


@post("/runs/{run_id:int}/attempts/{attempt_id:str}/stop")
async def stop_waiting(
    request: AnyRequest, run_id: FromPath[int], attempt_id: FromPath[str], member: Member, runs: Runs
) -> Redirect:
    """Stop waiting for the agent's answer to a request."""
    try:
        await runs.stop_waiting(run_id, member, attempt_id)
    except (Invalid, Conflict, Forbidden) as error:
        return _back(request, run_id, error)
    return redirect(f"/runs/{run_id}")


@post("/runs/{run_id:int}/notes")
async def add_note(request: AnyRequest, run_id: FromPath[int], form: Form, member: Member, runs: Runs) -> Redirect:
    """Add a note or an output to the current step as evidence."""
    body = form.lines("body", limit=NOTE_LIMIT)
    kind = form.choice("kind", EvidenceKind, default=EvidenceKind.NOTE)
    if kind is EvidenceKind.PICTURE:
        form.refuse("kind", N_("Please choose one of the list."))
    try:
        form.check()
        await runs.add_note(run_id, member, body, kind=kind)
    except (Invalid, Conflict, Forbidden) as error:
        return _back(request, run_id, error)
    return redirect(f"/runs/{run_id}")


@post("/runs/{run_id:int}/pictures", request_max_body_size=UPLOAD_LIMIT)
async def add_picture(request: AnyRequest, run_id: FromPath[int], member: Member, runs: Runs) -> Redirect:
    """Add a picture to the current step as evidence."""
    sent = await request.form()
    file, caption = sent.get("picture"), sent.get("caption")
    data = await file.read() if isinstance(file, UploadFile) else b""
    try:
        await runs.add_picture(run_id, member, data, caption=caption if isinstance(caption, str) else "")
    except (Invalid, Conflict, Forbidden) as error:
        return _back(request, run_id, error)
    return redirect(f"/runs/{run_id}")


@get("/runs/{run_id:int}/evidence/{evidence_id:int}", opt={"cache": True})
async def picture(run_id: FromPath[int], evidence_id: FromPath[int], runs: Runs) -> Response[bytes]:
    """A picture that was kept as evidence."""
    data, media_type = await runs.picture(run_id, evidence_id)
    headers = {"Cache-Control": "private, max-age=86400, immutable", "Content-Disposition": "inline"}
    return Response(data, media_type=media_type, headers=headers)


@post("/runs/{run_id:int}/hand-over")
async def hand_over(request: AnyRequest, run_id: FromPath[int], form: Form, member: Member, runs: Runs) -> Redirect:
    """Hand a run over to another member."""
    revision, to_id = form.integer("revision", minimum=1), form.identity("to")
    try:
        form.check()
        run = await runs.hand_over(run_id, member, revision=revision, to_id=to_id)
    except (Invalid, Conflict, Forbidden) as error:
        return _back(request, run_id, error)
    toast(request, N_("{name} holds this run now."), name=run.member_name)
    return redirect(f"/runs/{run_id}")


@post("/runs/{run_id:int}/abandon")
async def abandon(request: AnyRequest, run_id: FromPath[int], form: Form, member: Member, runs: Runs) -> Redirect:
    """End a run before its last step, with a reason."""
    revision, reason = form.integer("revision", minimum=1), form.lines("reason", limit=2000, required=False)
    try:
        form.check()
        await runs.abandon(run_id, member, revision=revision, reason=reason)
    except (Invalid, Conflict, Forbidden) as error:
        return _back(request, run_id, error)
    return redirect(f"/runs/{run_id}")


@post("/runs/{run_id:int}/verify")
async def verify(request: AnyRequest, run_id: FromPath[int], member: Member, runs: Runs) -> Redirect:
    """Ask the agent whether the procedure's result holds on the machine."""
    try:
        await runs.verify_result(run_id, member)
    except (Conflict, Forbidden) as error:
        return _back(request, run_id, error)
    return redirect(f"/runs/{run_id}#result")


HANDLERS = [
    show_list,
    ask_start,
    start,
    show,
    part,
    report,
    attest,
    ask,
    ask_again,
    stop_waiting,
    add_note,
    add_picture,
    picture,
    hand_over,
    abandon,
    verify,
]

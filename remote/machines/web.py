"""Pages of machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member, Role
from compagnon.directory.model import Sheet
from compagnon.directory.service import Directory
from compagnon.errors import AppError, Invalid
from compagnon.i18n import N_, current_locale
from compagnon.web import Form, fragment, page, redirect, toast
from compagnon.web.guards import requires
from compagnon.web.render import is_htmx, rendered_panels
from kb.suggestions.model import Place, Suggestion
from kb.suggestions.service import Suggesting
from procedures.words import WORDS
from remote.machines.desk import Desk
from remote.machines.model import Machine, MachineFilter, MachineState
from remote.machines.records import NOTE
from remote.machines.service import Machines
from remote.releases.installers import powershell_command, shell_command
from remote.waking.words import NOT_WOKEN, OBSTACLES

AnyRequest = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=100)]
Identity = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)]
PAGE = 50
SHOWN = {
    "": MachineFilter(),
    "drifting": MachineFilter(drifting=True, state=MachineState.APPROVED),
    "offline": MachineFilter(online=False, state=MachineState.APPROVED),
    "online": MachineFilter(online=True, state=MachineState.APPROVED),
    "pending": MachineFilter(state=MachineState.PENDING),
    "revoked": MachineFilter(state=MachineState.REVOKED),
}


def handlers() -> Sequence[ControllerRouterHandler]:
    return [
        listed,
        enrol_form,
        enrol,
        shown,
        cockpit,
        load,
        known_about_check,
        consent,
        approve,
        revoke,
        rename,
        declare,
        check_now,
        waive,
        withdraw,
        explain_record,
    ]


@get("/machines")
async def listed(
    request: AnyRequest,
    machines: Machines,
    desk: Desk,
    q: Text = "",
    show: Text = "",
    environment: Text = "",
    client: Identity = None,
    after_name: Text = "",
    after: Identity = None,
) -> Template:
    """The list; ``after`` and ``after_name`` continue behind the last row of the page before."""
    chosen = SHOWN.get(show, SHOWN[""])
    wanted = MachineFilter(
        text=q.strip(),
        client_id=client,
        environment=environment or None,
        state=chosen.state,
        drifting=chosen.drifting,
        online=chosen.online,
        after=(after_name, after) if after else None,
        limit=PAGE + 1,
    )
    found = await machines.listed(wanted)
    context: dict[str, Any] = {
        "rows": found[:PAGE],
        "more": found[PAGE - 1] if len(found) > PAGE else None,
        "counts": await machines.counts(),
        "environments": await desk.environment_names(current_locale()),
        "chosen": {"q": q, "show": show, "environment": environment, "client": client or ""},
    }
    if is_htmx(request):
        return fragment(request, "remote/machine_rows.html", **context)
    return page(request, "remote/machines.html", **context)


@get("/machines/new")
async def enrol_form(request: AnyRequest, desk: Desk, directory: Directory, client: Identity = None) -> Template:
    """Ask for which client; with one, for which site and environment."""
    return await _enrol_page(request, desk, directory, client, Form({}), 200)


@post("/machines/new")
async def enrol(
    request: AnyRequest, form: Form, member: Member, machines: Machines, desk: Desk, directory: Directory
) -> Template | Redirect:
    """Make a code, and show it once with the command to type."""
    client_id = form.optional_identity("client_id")
    if client_id is None:
        form.refuse("client_id", N_("Please choose a client."))
        return await _enrol_page(request, desk, directory, None, form, 422)
    site_id = form.optional_identity("site_id")
    try:
        environment = await desk.known_environment(form.text("environment", limit=80, required=False))
        offer = await machines.offer(member, client_id, site_id=site_id, environment=environment)
    except Invalid as error:
        form.refuse_with(error)
        return await _enrol_page(request, desk, directory, client_id, form, 422)
    return page(
        request,
        "remote/enrolment_code.html",
        offer=offer,
        client=await directory.get(client_id),
        shell=shell_command(offer.server, offer.code),
        powershell=powershell_command(offer.server, offer.code),
        headers={"Cache-Control": "no-store"},
    )


async def _enrol_page(
    request: AnyRequest, desk: Desk, directory: Directory, client_id: int | None, form: Form, status: int
) -> Template:
    sheet = await directory.sheet(client_id) if client_id else None
    query = request.query_params.get("q", "")[:100]
    return page(
        request,
        "remote/enrol.html",
        form=form,
        sheet=sheet,
        q=query,
        clients=await directory.search(query, limit=10) if query and not sheet else (),
        sites=_sites(sheet) if sheet else (),
        environment_options=await _environments(desk),
        status_code=status,
    )


@get("/machines/{machine_id:int}")
async def shown(
    request: AnyRequest,
    member: Member,
    desk: Desk,
    directory: Directory,
    machine_id: FromPath[int],
    ticket: Identity = None,
) -> Template:
    """The cockpit. ``ticket`` is the one on whose behalf a terminal or a run would be opened."""
    return await _cockpit(request, member, desk, directory, machine_id, ticket, whole=True)


@get("/machines/{machine_id:int}/cockpit")
async def cockpit(
    request: AnyRequest,
    member: Member,
    desk: Desk,
    directory: Directory,
    machine_id: FromPath[int],
    ticket: Identity = None,
) -> Template:
    """The cockpit's changing part, fetched again when the machine's topic moves."""
    return await _cockpit(request, member, desk, directory, machine_id, ticket, whole=False)


@get("/machines/{machine_id:int}/load")
async def load(request: AnyRequest, member: Member, desk: Desk, machine_id: FromPath[int]) -> Template:
    """How busy the machine is now and who else looks at its page; asked again every few seconds while it is shown."""
    machine = await desk.link.machines.get(machine_id)
    live, watchers = await desk.loads.look(member, machine)
    online = machine.online or desk.link.online(machine_id)
    return fragment(request, "remote/_load.html", live=live, watchers=watchers, online=online)


@get("/machines/{machine_id:int}/checks/known")
async def known_about_check(
    request: AnyRequest,
    member: Member,
    machines: Machines,
    suggesting: Suggesting,
    machine_id: FromPath[int],
    key: Annotated[str, QueryParameter(max_length=300)],
    ticket: Identity = None,
) -> Template:
    """What the library has about a check that fails, beside the procedure that repairs it."""
    machine = await machines.get(machine_id)
    state = next((state for state in await machines.checks(machine_id) if state.key == key and state.failing), None)
    items: Sequence[Suggestion] = ()
    if state is not None:
        items = await suggesting.mentioning(
            state.subject, f"{state.label} {state.reason}", environment=machine.environment, locale=member.locale
        )
    place = Place(ticket=ticket, machine=machine_id, brief=True)
    return fragment(request, "kb/suggestions/_list.html", items=items, place=place)


async def _cockpit(
    request: AnyRequest,
    member: Member,
    desk: Desk,
    directory: Directory,
    machine_id: int,
    ticket: int | None,
    *,
    whole: bool,
    form: Form | None = None,
) -> Template:
    found = await desk.cockpit(member, machine_id)
    context: dict[str, Any] = {
        "cockpit": found,
        "words": WORDS,
        "obstacles": OBSTACLES,
        "not_woken": NOT_WOKEN,
        "machine": found.machine,
        "sites": _sites(await directory.sheet(found.machine.client_id)),
        "environment_title": await desk.environment_title(found.machine, current_locale()),
        "environment_options": await _environments(desk),
        "ticket": ticket,
        "panels": rendered_panels(request, found.panels),
        "form": form or Form({}, initial=_initial(found.machine)),
    }
    if not whole:
        return fragment(request, "remote/cockpit.html", **context)
    return page(request, "remote/machine.html", status_code=200 if form is None else 422, **context)


def _sites(sheet: Sheet) -> list[tuple[int, str]]:
    return [(site.id, " · ".join(part for part in (site.label, site.town) if part)) for site in sheet.sites]


async def _environments(desk: Desk) -> list[tuple[str, str]]:
    return [(item.code, f"{item.title} ({item.code})") for item in await desk.environment_names(current_locale())]


def _initial(machine: Machine) -> dict[str, object]:
    return {"name": machine.name, "site_id": machine.site_id, "environment": machine.environment}


@get("/machines/{machine_id:int}/consent")
async def consent(request: AnyRequest, desk: Desk, machine_id: FromPath[int]) -> Template:
    """The questions on the machine's screen now, with the code to compare by voice (shown on a run's page too)."""
    return fragment(request, "remote/consents.html", consents=desk.link.consents(machine_id))


@post("/machines/{machine_id:int}/approve")
async def approve(
    request: AnyRequest, form: Form, member: Member, desk: Desk, directory: Directory, machine_id: FromPath[int]
) -> Template | Redirect:
    """Let a new machine in: name, site and environment are confirmed by a member."""
    name = form.text("name", limit=80)
    site_id = form.optional_identity("site_id")
    form.check()
    environment = await desk.known_environment(form.text("environment", limit=80, required=False))
    await desk.link.machines.approve(member, machine_id, name=name, site_id=site_id, environment=environment)
    await desk.link.changed(machine_id)
    toast(request, N_("{name} is approved."), name=name)
    return redirect(f"/machines/{machine_id}")


@post("/machines/{machine_id:int}/revoke")
async def revoke(request: AnyRequest, member: Member, desk: Desk, machine_id: FromPath[int]) -> Redirect:
    """Lock a machine out; its agent is told, and its key never accepted again."""
    machine = await desk.link.machines.revoke(member, machine_id)
    await desk.sessions.end_for_machine(machine_id)
    await desk.link.changed(machine_id)
    toast(request, N_("{name} is revoked: its agent is turned away from now on."), name=machine.name)
    return redirect(f"/machines/{machine_id}")


@post("/machines/{machine_id:int}/record", guards=[requires(Role.ADMINISTRATOR)])
async def explain_record(
    request: AnyRequest, form: Form, member: Member, desk: Desk, machine_id: FromPath[int]
) -> Redirect:
    """Say what happened to the agent's own record: it does not need anybody's attention any more."""
    note = form.text("note", limit=NOTE[1], minimum=NOTE[0])
    form.check()
    await desk.records.look_into(member, await desk.link.machines.get(machine_id), note)
    return redirect(f"/machines/{machine_id}")


@post("/machines/{machine_id:int}/rename")
async def rename(request: AnyRequest, form: Form, member: Member, desk: Desk, machine_id: FromPath[int]) -> Redirect:
    """Give a machine another name."""
    name = form.text("name", limit=80)
    form.check()
    await desk.link.machines.rename(member, machine_id, name)
    await desk.link.changed(machine_id)
    toast(request, N_("Saved."))
    return redirect(f"/machines/{machine_id}")


@post("/machines/{machine_id:int}/environment")
async def declare(request: AnyRequest, form: Form, member: Member, desk: Desk, machine_id: FromPath[int]) -> Redirect:
    """Say to which environment a machine is installed."""
    environment = await desk.known_environment(form.text("environment", limit=80, required=False))
    await desk.link.machines.declare(member, machine_id, environment)
    await desk.link.changed(machine_id)
    await desk.scheduler.give(await desk.link.machines.get(machine_id))
    toast(request, N_("Saved."))
    return redirect(f"/machines/{machine_id}")


@post("/machines/{machine_id:int}/check")
async def check_now(request: AnyRequest, member: Member, desk: Desk, machine_id: FromPath[int]) -> Redirect:
    """Compare with the declared environment now, and wait for it (some seconds)."""
    try:
        states = await desk.drift.check(machine_id, member)
    except AppError as error:
        toast(request, error.message, kind="warning", **error.params)
    else:
        failing = sum(state.failing for state in states)
        if failing:
            toast(request, N_("Checked: {count} failing."), kind="warning", count=failing)
        else:
            toast(request, N_("Checked: the machine is as its environment asks."))
    return redirect(f"/machines/{machine_id}")


@post("/machines/{machine_id:int}/waivers")
async def waive(request: AnyRequest, form: Form, member: Member, desk: Desk, machine_id: FromPath[int]) -> Redirect:
    """Accept a failing check until a day, with a justification (waiver)."""
    key = form.text("key", limit=300)
    justification = form.text("justification", limit=1000)
    until = form.day("until", required=True)
    form.check()
    assert until is not None
    await desk.drift.waive(member, machine_id, key, justification, until)
    toast(request, N_("The exception is accepted until that day."))
    return redirect(f"/machines/{machine_id}")


@post("/machines/{machine_id:int}/waivers/{waiver_id:int}/withdraw")
async def withdraw(
    request: AnyRequest, member: Member, desk: Desk, machine_id: FromPath[int], waiver_id: FromPath[int]
) -> Redirect:
    """End a waiver before its time."""
    await desk.drift.withdraw(member, machine_id, waiver_id)
    toast(request, N_("The waiver is withdrawn."))
    return redirect(f"/machines/{machine_id}")

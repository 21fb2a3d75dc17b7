"""Pages of devices: their address, the keys they show, and what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.directory.service import Directory
from compagnon.errors import AppError, Conflict, Invalid, NotFound
from compagnon.i18n import N_, current_locale, gettext
from compagnon.web import Form, page, redirect, toast
from remote.machines.desk import Desk
from remote.machines.model import MachineState
from remote.sessions.model import SessionState
from remote.ssh import words
from remote.ssh.consents import Asked
from remote.ssh.errors import KeyChanged, KeyUnknown
from remote.ssh.feature import Ssh
from remote.ssh.model import Device, DeviceKind, HostKeyState, How, NewDevice, key_file

AnyRequest = Request[Any, Any, Any]
Identity = Annotated[int, QueryParameter(ge=1, le=2**63 - 1)]


def handlers() -> Sequence[ControllerRouterHandler]:
    return [
        add_form, add, edit_form, edit, look_at_key, key_page, confirm, propose, reject, open_session, agree,
        install_agent,
    ]  # fmt: skip


# adding and changing


@get("/devices/new")
async def add_form(request: AnyRequest, desk: Desk, directory: Directory, ssh: Ssh, client: Identity) -> Template:
    """A new device of a client: a server, NAS, switch or router that is reached over SSH."""
    return await _form_page(request, desk, directory, ssh, client, Form({}, initial={"port": 22}))


@post("/devices/new")
async def add(
    request: AnyRequest, form: Form, member: Member, desk: Desk, directory: Directory, ssh: Ssh
) -> Template | Redirect:
    """Add a device; its key is asked for next."""
    client_id = form.identity("client_id")
    site_id = form.optional_identity("site_id")
    new = _read(form)
    try:
        form.check()
        environment = await desk.known_environment(form.text("environment", limit=80, required=False))
        device = await ssh.devices.add(member, client_id, new, site_id=site_id, environment=environment)
    except Invalid as error:
        form.refuse_with(error)
        return await _form_page(request, desk, directory, ssh, client_id, form, status=422)
    await ssh.agents.serve(device.machine_id)
    return await _look(request, member, ssh, device.machine_id)


@get("/devices/{machine_id:int}/edit")
async def edit_form(
    request: AnyRequest, desk: Desk, directory: Directory, ssh: Ssh, machine_id: FromPath[int]
) -> Template:
    """Another address, account or access of a device."""
    device = await ssh.devices.get(machine_id)
    initial = {
        "name": device.name, "kind": device.kind.value, "host": device.host, "port": device.port,
        "username": device.username, "via_machine_id": device.via_machine_id, "credential_id": device.credential_id,
        "notes": device.notes,
    }  # fmt: skip
    form = Form({}, initial=initial)
    return await _form_page(request, desk, directory, ssh, device.client_id, form, machine_id=machine_id)


@post("/devices/{machine_id:int}/edit")
async def edit(
    request: AnyRequest, form: Form, member: Member, desk: Desk, directory: Directory, ssh: Ssh,
    machine_id: FromPath[int],
) -> Template | Redirect:  # fmt: skip
    """Change a device. A key that was confirmed stays: another device at the new address is noticed."""
    new = _read(form)
    try:
        form.check()
        await ssh.devices.change(member, machine_id, new)
    except Invalid as error:
        form.refuse_with(error)
        client_id = (await ssh.devices.get(machine_id)).client_id
        return await _form_page(request, desk, directory, ssh, client_id, form, machine_id=machine_id, status=422)
    toast(request, N_("Saved."))
    return redirect(f"/machines/{machine_id}")


def _read(form: Form) -> NewDevice:
    return NewDevice(
        name=form.text("name", limit=80),
        kind=form.choice("kind", DeviceKind),
        host=form.text("host", limit=253).strip("[]"),
        port=form.integer("port", minimum=1, maximum=65_535),
        username=form.text("username", limit=64),
        via_machine_id=form.optional_identity("via_machine_id"),
        credential_id=form.optional_identity("credential_id"),
        notes=form.lines("notes", limit=2000, required=False),
    )


async def _form_page(
    request: AnyRequest, desk: Desk, directory: Directory, ssh: Ssh, client_id: int, form: Form, *,
    machine_id: int | None = None, status: int = 200,
) -> Template:  # fmt: skip
    sheet = await directory.sheet(client_id)
    machines = await desk.link.machines.for_client(client_id)
    approved = [found for found in machines if not found.is_device and found.state is MachineState.APPROVED]
    environments = await desk.environment_names(current_locale())
    return page(
        request,
        "remote/ssh/device.html",
        form=form,
        sheet=sheet,
        machine_id=machine_id,
        kinds=words.kinds(),
        sites=[(site.id, " · ".join(part for part in (site.label, site.town) if part)) for site in sheet.sites],
        agents=[(found.id, found.name) for found in approved],
        credentials=[(found.id, found.name) for found in await ssh.credentials.for_client(client_id)],
        environment_options=[(item.code, f"{item.title} ({item.code})") for item in environments],
        status_code=status,
    )


# keys


@post("/devices/{machine_id:int}/key/look")
async def look_at_key(request: AnyRequest, member: Member, ssh: Ssh, machine_id: FromPath[int]) -> Redirect:
    """Ask the device which key it has, and compare it with the one that was confirmed."""
    return await _look(request, member, ssh, machine_id)


async def _look(request: AnyRequest, member: Member, ssh: Ssh, machine_id: int) -> Redirect:
    try:
        same = await ssh.connector.look_at_key(await ssh.devices.get(machine_id), member)
    except AppError as error:
        toast(request, error.message, kind="warning", **error.params)
        return redirect(f"/machines/{machine_id}")
    if same:
        toast(request, N_("The device answers with the key that was confirmed."))
        return redirect(f"/machines/{machine_id}")
    return redirect(f"/devices/{machine_id}/key")


@get("/devices/{machine_id:int}/key")
async def key_page(request: AnyRequest, member: Member, ssh: Ssh, machine_id: FromPath[int]) -> Template:
    """The key that waits for a decision: its fingerprint, what was known before, and what to do."""
    device, keys = await ssh.devices.get(machine_id), await ssh.devices.keys(machine_id)
    waiting = {HostKeyState.SEEN, HostKeyState.PROPOSED}
    shown = next((key for key in keys if key.state in waiting), None)
    return page(
        request,
        "remote/ssh/key.html",
        device=device,
        shown=shown,
        trusted=next((key for key in keys if key.state is HostKeyState.TRUSTED), None),
        past=[key for key in keys if key.state in {HostKeyState.REPLACED, HostKeyState.REJECTED}],
        file=key_file(shown.algorithm) if shown else "",
        mine=shown is not None and shown.proposed_by == member.id,
    )


@post("/devices/{machine_id:int}/key/{key_id:int}/confirm")
async def confirm(
    request: AnyRequest, member: Member, ssh: Ssh, machine_id: FromPath[int], key_id: FromPath[int]
) -> Redirect:
    """Believe this key: the fingerprint was compared at the device; a changed one, by a second member."""
    await ssh.devices.confirm(member, machine_id, key_id)
    toast(request, N_("The key is confirmed: the device can be worked on."))
    return redirect(f"/machines/{machine_id}")


@post("/devices/{machine_id:int}/key/{key_id:int}/propose")
async def propose(
    request: AnyRequest, form: Form, member: Member, ssh: Ssh, machine_id: FromPath[int], key_id: FromPath[int]
) -> Redirect:
    """Say why a device shows another key; another member then confirms it."""
    reason = form.text("reason", limit=500)
    form.check()
    await ssh.devices.propose(member, machine_id, key_id, reason)
    toast(request, N_("Noted: another member confirms the new key now."))
    return redirect(f"/devices/{machine_id}/key")


@post("/devices/{machine_id:int}/key/{key_id:int}/reject")
async def reject(
    request: AnyRequest, member: Member, ssh: Ssh, machine_id: FromPath[int], key_id: FromPath[int]
) -> Redirect:
    """Do not believe this key."""
    await ssh.devices.reject(member, machine_id, key_id)
    toast(request, N_("The key is refused: nothing is sent to whoever shows it."))
    return redirect(f"/machines/{machine_id}")


# asking


@post("/devices/{machine_id:int}/sessions")
async def open_session(
    request: AnyRequest, form: Form, member: Member, desk: Desk, ssh: Ssh, machine_id: FromPath[int]
) -> Redirect:
    """Open a session on a device: who at the client agreed is written down, then the device is signed in to."""
    ticket_id = form.identity("ticket_id")
    reason = form.text("reason", limit=500)
    capability = form.one_of("capability", ("terminal", "files"), default="terminal")
    person = form.text("person", limit=80, minimum=2)
    how = form.choice("how", How)
    form.check()
    device = await ssh.devices.get(machine_id)
    if (mend := await _tried(request, member, ssh, device)) is not None:
        return mend
    session = await desk.sessions.open(machine_id, ticket_id, reason, member, capability=capability)
    asked = Asked(machine_id=machine_id, ticket_id=ticket_id, session_id=session.id)
    await ssh.consents.record(member, asked, how=how, person=person)
    return redirect(session.url)


@post("/devices/{machine_id:int}/agent")
async def install_agent(
    request: AnyRequest, form: Form, member: Member, ssh: Ssh, machine_id: FromPath[int]
) -> Redirect:
    """Install the agent on a device over SSH, in a recorded terminal that shows how it goes."""
    ticket_id = form.identity("ticket_id")
    person = form.text("person", limit=80, minimum=2)
    how = form.choice("how", How)
    form.check()
    device, reason = await ssh.devices.get(machine_id), gettext(N_("Install the agent"))
    if (mend := await _tried(request, member, ssh, device)) is not None:
        return mend
    session = await ssh.bootstrap.install(member, device, ticket_id, reason, how=how, person=person)
    return redirect(session.url)


async def _tried(request: AnyRequest, member: Member, ssh: Ssh, device: Device) -> Redirect | None:
    """Sign in once before a session is asked for. What is wrong is told on the page where it can be mended."""
    try:
        async with ssh.connector.connection(device, member):
            return None
    except (KeyChanged, KeyUnknown) as error:
        toast(request, error.message, kind="warning")
        return redirect(f"/devices/{device.machine_id}/key")
    except AppError as error:
        toast(request, error.message, kind="warning", **error.params)
        return redirect(f"/machines/{device.machine_id}")


@post("/devices/{machine_id:int}/consents")
async def agree(
    request: AnyRequest, form: Form, member: Member, desk: Desk, ssh: Ssh, machine_id: FromPath[int]
) -> Redirect:
    """Write down who at the client agreed to a session or a procedure, and how."""
    session_id = form.text("session_id", limit=32, required=False)
    request_id = form.text("request_id", limit=36, required=False)
    person = form.text("person", limit=80, minimum=2)
    how = form.choice("how", How)
    form.check()
    asked = await _of_session(desk, machine_id, session_id) if session_id else _question(ssh, machine_id, request_id)
    await ssh.consents.record(member, asked, how=how, person=person)
    toast(request, N_("Written down."))
    return redirect(_back(request, machine_id))


async def _of_session(desk: Desk, machine_id: int, session_id: str) -> Asked:
    session = await desk.sessions.get(session_id)
    if session.machine_id != machine_id:
        raise NotFound(N_("There is no such session."))
    if session.state not in {SessionState.REQUESTED, SessionState.CONSENTING}:
        raise Conflict(N_("This session is not waiting for a consent any more."))
    return Asked(machine_id=machine_id, ticket_id=session.ticket_id, session_id=session.id)


def _question(ssh: Ssh, machine_id: int, request_id: str) -> Asked:
    found = ssh.agents.questions.get(request_id)
    if found is None or found.machine_id != machine_id:
        raise Conflict(N_("Nobody waits for this consent any more."))
    return found


def _back(request: AnyRequest, machine_id: int) -> str:
    """The page that the form stood on, when it is one of this server's."""
    path = str(request.headers.get("referer", "")).removeprefix(str(request.base_url).rstrip("/"))
    return path if path.startswith("/") and not path.startswith("//") else f"/machines/{machine_id}"

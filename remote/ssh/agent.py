"""One device's agent, in this process: it answers the control messages that an agent would answer.

What an agent decides by itself is decided here by ``consents.granted``, from what members wrote down; what it cannot
find out over SSH it says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import uuid
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import paramiko

from compagnon.auth.model import Member
from compagnon.errors import AppError, Conflict, Unavailable
from compagnon_agent.protocol import messages, signing
from compagnon_agent.protocol.checks import CheckError, CheckResult
from compagnon_agent.protocol.manifest import digest, values_digest
from compagnon_agent.protocol.parameters import ParameterError, validate_all
from compagnon_agent.protocol.signing import NONCE_LENGTH, SIGNATURE_LENGTH
from remote.control.connection import AgentConnection, Closed, Proof
from remote.control.link import WITHDRAWN
from remote.control.web import attend
from remote.machines.model import Machine
from remote.sessions.model import Capability, EndReason, Session, SessionState
from remote.sessions.room import Room
from remote.sessions.rooms import SIZE
from remote.sessions.terminal_room import TerminalRoom
from remote.sessions.web import serve_room
from remote.ssh import leases_store
from remote.ssh.calls import CallLink, Fault
from remote.ssh.connector import in_thread
from remote.ssh.consents import Asked
from remote.ssh.errors import Broken
from remote.ssh.file_calls import FileCalls
from remote.ssh.model import Consent
from remote.ssh.pipe import Pipe
from remote.ssh.schedule import LIMIT, DeviceSchedule
from remote.ssh.service import CAPABILITIES
from remote.ssh.sftp import Remote
from remote.ssh.shell import Shell

if TYPE_CHECKING:
    from remote.ssh.agents import DeviceAgents

log = logging.getLogger(__name__)
VERSION = "ssh"
LOOK_EVERY = 0.5  # seconds


class DeviceAgent:
    """See the module. ``run`` ends when the device is revoked or the server stops."""

    def __init__(self, of: DeviceAgents, machine: Machine) -> None:
        self._of = of
        self._machine = machine
        self._pipe = Pipe(self._hear, self._hung_up)
        self._working: dict[str, asyncio.Task[None]] = {}
        self._schedule = DeviceSchedule(self._look, self._say, self._cannot)

    async def run(self) -> None:
        nonce = secrets.token_bytes(NONCE_LENGTH)
        proof = Proof(signing.CONTROL, self._machine.id, nonce, nonce)
        hello = messages.Hello(
            machine_id=self._machine.id, nonce=nonce, signature=bytes(SIGNATURE_LENGTH), version=VERSION,
            capabilities=CAPABILITIES,
        )  # fmt: skip
        self._do("schedule", self._schedule.run())
        try:
            await attend(AgentConnection(self._pipe.wire, self._machine, proof), hello, self._of.link)
        finally:
            for task in list(self._working.values()):
                task.cancel()
            await asyncio.gather(*self._working.values(), return_exceptions=True)

    def _hung_up(self) -> None:
        self._do("hang up", self._pipe.hang_up())

    async def _hear(self, data: str | bytes) -> None:
        """Nothing here makes the server wait: what takes time is a task, named by what it answers."""
        match messages.decode(data):
            case messages.ConsentRequest() as request:
                self._do(request.request_id, self._consent(request))
            case messages.CheckRequest() as request:
                self._do(request.request_id, self._checks(request))
            case messages.Execute() as request:
                self._do(request.attempt_id, self._execute(request))
            case messages.OpenSession() as request:
                self._do(request.session_id, self._open(request))
            case messages.SessionEnded(session_id=session_id, reason=reason) if session_id in self._of.shells:
                self._of.shells[session_id].end(reason)
            case messages.Schedule() as schedule:
                self._schedule.take(schedule)
            case messages.CheckNow(request_id=request_id):
                self._schedule.now(request_id)
            case messages.Cancel(id=id_):
                self._cancel(id_)
            case _:
                pass

    def _do(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if name in self._working:  # asked twice: the answer to the first is on its way
            work.close()
            return
        task = asyncio.create_task(self._surely(name, work), name=f"device {self._machine.id} {name}")
        self._working[name] = task
        task.add_done_callback(lambda _: self._working.pop(name, None))

    async def _surely(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("device %s: %s", self._machine.id, name)

    def _cancel(self, id_: str) -> None:
        task = self._working.get(id_)
        if task is not None:
            task.cancel()

    async def _say(self, message: messages.Message) -> None:
        await self._pipe.say(messages.encode(message))

    # consent

    async def _consent(self, request: messages.ConsentRequest) -> None:
        """Answered once a member has written down who agreed; no after ``wait`` seconds."""
        found: Consent | None = None
        try:
            asked = self._of.questions[request.request_id] = self._asked(request)
            found = await self._of.consents.wait_for(asked, float(request.wait))
        except (ParameterError, CheckError):
            pass
        finally:
            self._of.questions.pop(request.request_id, None)
        await self._say(_answer(request, found))

    def _asked(self, request: messages.ConsentRequest) -> Asked:
        """Raises ParameterError: without all its values nobody can agree to a procedure."""
        if request.manifest is None:
            return Asked(machine_id=self._machine.id, ticket_id=request.ticket_id, session_id=request.session_id or "")
        values = validate_all(request.manifest.parameters, request.parameters or {})
        return Asked(
            machine_id=self._machine.id, ticket_id=request.ticket_id, digest=digest(request.manifest),
            values_digest=values_digest(values),
        )  # fmt: skip

    # checks and steps

    async def _look(self, schedule: messages.Schedule) -> Sequence[CheckResult]:
        device = await self._of.devices.get(self._machine.id)
        request = messages.CheckRequest(
            request_id=str(uuid.uuid4()), checks=schedule.checks, parameters={}, timeout=LIMIT
        )
        return await self._of.steps.look(device, request)

    def _cannot(self, request_id: str, error: AppError) -> None:
        self._of.link.failed(self._machine.id, request_id, error)

    async def _checks(self, request: messages.CheckRequest) -> None:
        try:
            device = await self._of.devices.get(self._machine.id)
            results = await self._of.steps.look(device, request)
        except (Unavailable, Conflict) as error:
            self._of.link.failed(self._machine.id, request.request_id, error)
            return
        await self._say(messages.CheckResults(request_id=request.request_id, results=results))

    async def _execute(self, request: messages.Execute) -> None:
        key = f"step:{request.attempt_id}"
        try:
            device = await self._of.devices.get(self._machine.id)
            member = await self._of.kernel.members.get(request.member_id)
            result = await self._of.steps.result(device, request, member)
        except (Unavailable, Conflict) as error:  # nothing was begun
            self._of.link.failed(self._machine.id, key, error)
        except asyncio.CancelledError:
            self._of.link.failed(self._machine.id, key, Unavailable(WITHDRAWN))
            raise
        else:
            await self._say(result)

    # sessions

    async def _open(self, request: messages.OpenSession) -> None:
        """Where other server processes are, it begins in the one that its pages come to (``attend``)."""
        session = await self._of.sessions.get(request.session_id)
        if session.state is not SessionState.OPEN or _work(session) in self._working:
            return
        if session.recorded and session.capability is Capability.TERMINAL:
            if not await self._of.rooms.recordings.in_use(session.id):
                await self._of.sessions.end(session.id, EndReason.RESTARTED)
        elif await self._of.link.nodes.alone():
            self.attend(session)

    def attend(self, session: Session, room: Room | None = None) -> None:
        """Work for this session in this process, whose ``room`` was made just now. Idempotent."""
        self._do(_work(session), self._attend(session, room))

    async def _attend(self, session: Session, room: Room | None) -> None:
        """A terminal is begun once: after a restart of the server its shell is gone, and the session with it."""
        consent = await self._of.consents.find(
            Asked(machine_id=self._machine.id, ticket_id=session.ticket_id, session_id=session.id)
        )
        if consent is None:
            await self._of.sessions.end(session.id, EndReason.REFUSED, detail="nobody wrote down who agreed")
        elif session.capability is Capability.FILES:
            await self._files(session, consent)
        elif session.recorded:
            await self._of.sessions.end(session.id, EndReason.RESTARTED)
        else:
            self._of.serving.add(session.id)
            try:
                await self._shell(session, consent, room)
            finally:
                self._of.serving.discard(session.id)

    async def _files(self, session: Session, consent: Consent) -> None:
        """Signed in when the first look is taken; nothing of it is lost with the server but what was under way."""

        async def connect() -> Remote:
            try:
                client = await self._of.connector.connect(
                    await self._of.devices.get(self._machine.id), await self._driver(session)
                )
            except AppError as error:
                raise Fault("failed", str(error)) from None
            return await in_thread(lambda: Remote(client))

        link = CallLink()
        files = FileCalls(link, connect)
        try:
            await self._serve(session, link, consent)
        finally:
            await files.close()

    async def _driver(self, session: Session) -> Member:
        return await self._of.kernel.members.get(session.driver_id or session.requested_by)

    async def _shell(self, session: Session, consent: Consent, room: Room | None) -> None:
        command = self._of.commands.pop(session.id, None)
        columns, rows = await self._begun(session, room)
        if command is not None and not await self._seen_by_two(session):
            return
        try:
            device = await self._of.devices.get(self._machine.id)
            shell = Shell(await self._of.connector.connect(device, await self._driver(session)))
            try:
                await shell.start(columns, rows, command)
            except (paramiko.SSHException, EOFError, OSError):
                raise Broken from None
        except AppError as error:
            reason = EndReason.OFFLINE if isinstance(error, Unavailable) else EndReason.REFUSED
            await self._of.sessions.end(session.id, reason, detail=str(error))
            return
        self._of.shells[session.id] = shell
        try:
            await self._serve(session, shell, consent)
        finally:
            del self._of.shells[session.id]

    async def _seen_by_two(self, session: Session) -> bool:
        """Four eyes: what runs by itself begins when nobody is alone. False when the session ended before."""
        room = await self._of.rooms.room(session)
        while room.alone:
            await asyncio.sleep(LOOK_EVERY)
            if not (await self._of.sessions.get(session.id)).live:
                return False
        return True

    async def _begun(self, session: Session, room: Room | None) -> tuple[int, int]:
        """From now on it counts as held by this process; the size of its terminal."""
        async with self._of.kernel.db.transaction() as conn:
            await leases_store.keep_alive(conn, [], [session.id])
        return (room.columns, room.rows) if isinstance(room, TerminalRoom) else SIZE

    async def _serve(self, session: Session, link: Shell | CallLink, consent: Consent) -> None:
        room = await self._of.rooms.room(session)
        room.mark(f"consent: {consent.how.value}: {consent.person}")
        served = asyncio.create_task(_quietly(serve_room(link.pipe.wire, self._of.rooms, session)))
        try:
            reason = await link.run()
        finally:
            await served
        if reason is messages.EndReason.LOST:
            await self._of.sessions.end(session.id, EndReason.LOST)


def _work(session: Session) -> str:
    return f"session {session.id}"


async def _quietly(serving: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(Closed):
        await serving


def _answer(request: messages.ConsentRequest, found: Consent | None) -> messages.ConsentAnswer:
    if found is None:
        return messages.ConsentAnswer(
            request_id=request.request_id, granted=False, source=messages.ConsentSource.NONE,
            reason="nobody wrote down who agreed",
        )  # fmt: skip
    return messages.ConsentAnswer(
        request_id=request.request_id, granted=True, source=messages.ConsentSource.RECORD, until=found.until,
        person=f"{found.how.value}: {found.person}",
    )  # fmt: skip

"""The lines to the agents: who is connected, what is said to them and what they say.

One dictionary of connections, one of waiting questions: a connection has no task, timer or queue of its own beyond the
handler that reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from compagnon.db import DatabaseError
from compagnon.errors import AppError, Conflict, Unavailable
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol import messages, signing
from procedures.ports import StepReport
from remote import wire
from remote.control import steps
from remote.control.arrivals import Door, Together
from remote.control.connection import AgentConnection, Closed, Refused, is_signed
from remote.control.identity import Identity
from remote.control.inbox import Inbox
from remote.control.nodes import Nodes
from remote.control.relay import Relay
from remote.machines.model import Arrival, Machine, MachineState
from remote.machines.service import Machines

log = logging.getLogger(__name__)
M = TypeVar("M", bound=messages.Message)
Handler = Callable[[Machine, Any], Awaitable[None]]
Reports = Callable[[int, str, StepReport], Awaitable[bool]]
React = Callable[[Machine], Awaitable[None]]
Whom = Callable[[Sequence[int]], Awaitable[Collection[int]]]
REPORT_SECONDS = 20.0  # for keeping a report; not acknowledged after it, so that the agent brings it again
OFFLINE = N_("This machine is offline.")
SILENT = N_("The machine did not answer in time.")


async def _no_key() -> bytes | None:
    return None


class Lines:
    """Part of :class:`remote.control.link.AgentLink`. ``inbox`` takes what comes out of the agents' queues."""

    def __init__(self, kernel: Kernel) -> None:
        self.machines = Machines(kernel)
        self.identity = Identity.load(kernel.settings.data_dir)
        self.inbox = Inbox(kernel.db)
        self.nodes = Nodes(kernel, self.machines.node)
        self._relay = Relay(self.nodes, self)
        self.door = Door()
        self._found = Together(self.machines.find_all)
        self._arrived = Together(self.machines.arrived)
        self._left = Together(self.machines.disconnected)
        self._back = Together(self._react_to)
        self.reports: Reports | None = None  # keeps a machine's report; whether the agent may forget it
        self.release_key: Callable[[], Awaitable[bytes | None]] = _no_key  # what signs versions of the agent
        self._reactions: list[tuple[React, Whom | None]] = []
        self._db = kernel.db
        self._settings = kernel.settings
        self._connections: dict[int, AgentConnection] = {}
        self._waiting: dict[tuple[int, str], asyncio.Future[Any]] = {}
        self._handlers: dict[type[messages.Message], Handler] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.inbox.after(messages.CheckReport, self._checked)

    # connections

    def handle(self, kind: type[M], handler: Callable[[Machine, M], Awaitable[None]]) -> None:
        """Call ``handler`` for messages of this type that answer no question. It must not ask the same agent."""
        self._handlers[kind] = handler

    def when_back(self, react: React, *, whom: Whom | None = None) -> None:
        """Call ``react`` with each machine whose agent is welcome again. ``whom`` is asked first, for all that came in
        the same moment, which of them it concerns: after a restart that is one question instead of thousands.
        """
        self._reactions.append((react, whom))

    def online(self, machine_id: int) -> bool:
        """Whether the agent of an approved machine is connected to this process."""
        connection = self._connections.get(machine_id)
        return connection is not None and connection.machine.state is MachineState.APPROVED

    @property
    def connections(self) -> Mapping[int, AgentConnection]:
        return self._connections

    def add(self, connection: AgentConnection) -> AgentConnection | None:
        """Register a connection; gives back the one that it replaces."""
        before = self._connections.get(connection.machine.id)
        self._connections[connection.machine.id] = connection
        self._relay.arrived(connection.machine.id)
        return before

    def remove(self, connection: AgentConnection) -> bool:
        """False when it was replaced by a newer one meanwhile."""
        machine_id = connection.machine.id
        if self._connections.get(machine_id) is not connection:
            return False
        del self._connections[machine_id]
        for key, waiting in list(self._waiting.items()):
            # A step's result is sent again after a reconnection; every other question died with its connection.
            if key[0] == machine_id and not key[1].startswith("step:") and not waiting.done():
                waiting.set_exception(Unavailable(OFFLINE))
        self._relay.gone(machine_id)
        return True

    async def find(self, machine_id: int) -> Machine | None:
        return await self._found.ask(machine_id)

    async def arrive(self, connection: AgentConnection, arrival: Arrival) -> None:
        """The agent proved its key: it is connected from here on, and told whether it is welcome.

        Raises Conflict when the machine was revoked this moment, Closed.
        """
        replaced = self.add(connection)
        if replaced is not None:
            replaced.wire.dismiss(wire.REPLACED, "replaced")
        state = await self._arrived.ask(arrival)
        if state is None:
            raise Conflict(N_("This machine is revoked already."))
        connection.machine = await self._as_it_is(connection.machine, state, arrival)
        connection.heard = time.monotonic()
        if state is MachineState.APPROVED:
            await self.welcome(connection)
        else:
            await connection.send(messages.Pending(signature=connection.proof.sign(self.identity, "pending")))

    async def _as_it_is(self, known: Machine, state: MachineState, arrival: Arrival) -> Machine:
        """The machine, read a moment ago, now that its agent is there; read again when it was decided on meanwhile."""
        if state is not known.state:
            return await self.machines.get(known.id)
        return replace(known, online=True, agent_version=arrival.version, capabilities=list(arrival.capabilities))

    async def left(self, connection: AgentConnection) -> None:
        """The connection has ended."""
        if self.remove(connection):
            with contextlib.suppress(AppError, DatabaseError):  # it is offline anyway once nobody vouches for it
                await self._left.ask(connection.machine.id)

    async def received(self, connection: AgentConnection, message: messages.Message) -> None:
        """One message of an agent. It speaks for its own machine only: answers are looked up under its id."""
        machine_id = connection.machine.id
        match message:
            case messages.Heartbeat():
                await connection.beat()
            case messages.StepResult():
                await self._step_result(connection, message)
            case messages.CheckResults(request_id=request_id) | messages.ConsentAnswer(request_id=request_id):
                self._answer(machine_id, request_id, message)
            case messages.PolicyAnswer(request_id=request_id) | messages.WakeAnswer(request_id=request_id):
                self._answer(machine_id, request_id, message)
            case messages.KeyChange() if connection.machine.state is MachineState.APPROVED:
                await self._change_key(connection, message)
            case messages.Queued() if connection.machine.state is MachineState.APPROVED:
                await connection.send(await self.inbox.take(connection.machine, message))
            case messages.Unknown(name=name):
                log.info("machine %s: message of unknown type %r left alone", machine_id, name)
            case _:
                await self._hand_on(connection, message)

    async def _change_key(self, connection: AgentConnection, message: messages.KeyChange) -> None:
        """Both keys of this very machine sign for it, towards this very server. Raises Refused, Conflict."""
        machine = connection.machine
        if machine.public_key != message.key:
            proof = signing.key_change_proof(
                machine_id=machine.id, old=machine.public_key, new=message.key, server_key=self.identity.public
            )
            signed = (machine.public_key, message.old_signature), (message.key, message.new_signature)
            if not all(is_signed(key, signature, proof) for key, signature in signed):
                raise Refused("a change of key that not both keys sign")
            connection.machine = await self.machines.change_key(machine, message.key)
        await connection.send(messages.KeyChanged(key=message.key))

    async def _step_result(self, connection: AgentConnection, result: messages.StepResult) -> None:
        """Keep it, whoever waits for it, and only then let the agent forget it: it brings it again until it is kept."""
        machine_id = connection.machine.id
        kept = not result.needs_consent and await self._keep(connection.machine, result)
        self._answer(machine_id, f"step:{result.attempt_id}", result)
        if kept:
            await connection.send(messages.StepAck(attempt_id=result.attempt_id))

    async def _keep(self, machine: Machine, result: messages.StepResult) -> bool:
        if self.reports is None or machine.state is not MachineState.APPROVED:
            return False
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                return await self.reports(machine.id, result.attempt_id, steps.reported(result))
        except Exception:
            log.exception("machine %s: the report of %s could not be kept yet", machine.id, result.attempt_id)
            return False

    async def _hand_on(self, connection: AgentConnection, message: messages.Message) -> None:
        handler = self._handlers.get(type(message))
        if handler is None or connection.machine.state is not MachineState.APPROVED:
            log.info("machine %s: unexpected %s left alone", connection.machine.id, message.TYPE)
            return
        await handler(connection.machine, message)

    def _answer(self, machine_id: int, key: str, message: messages.Message) -> None:
        """Hand an answer to whoever waits for it, in whichever server process."""
        if not self.answered(machine_id, key, message):
            self._relay.answered(machine_id, key, message)

    def answered(self, machine_id: int, key: str, message: messages.Message) -> bool:
        """Whether somebody in this process waited for it."""
        waiting = self._waiting.get((machine_id, key))
        if waiting is None or waiting.done():
            return False
        waiting.set_result(message)
        return True

    def lost(self, machine_id: int, key: str) -> None:
        """The connection that an answer was to come by, in another process, is gone."""
        self.failed(machine_id, key, Unavailable(OFFLINE))

    def failed(self, machine_id: int, key: str, error: AppError) -> None:
        """What was asked cannot be answered, and why: for what plays the agent in this process (``remote.ssh``)."""
        waiting = self._waiting.get((machine_id, key))
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)

    async def reachable(self, machine_id: int) -> bool:
        """Whether the agent of an approved machine is connected, to this or another server process."""
        return self.online(machine_id) or bool(await self.nodes.where_is(machine_id))

    async def tell(self, machine_id: int, message: messages.Message, *, key: str = "") -> None:
        """Send; ``key`` names the answer that is waited for. Raises Unavailable when the machine is offline."""
        if machine_id in self._connections:
            await self.tell_here(machine_id, message)
        elif not await self._relay.tell(machine_id, message, key):
            raise Unavailable(OFFLINE)
        elif machine_id in self._connections:  # it came here meanwhile, and may have left a process that was killed
            await self.tell_here(machine_id, message)

    async def tell_here(self, machine_id: int, message: messages.Message) -> None:
        """To an agent of this process. Raises Unavailable."""
        connection = self._connections.get(machine_id)
        if connection is None or connection.machine.state is not MachineState.APPROVED:
            raise Unavailable(OFFLINE)
        try:
            await connection.send(message)
        except Closed:
            raise Unavailable(OFFLINE) from None

    async def _ask(self, machine_id: int, key: str, message: messages.Message, kind: type[M], timeout: float) -> M:
        """Raises Unavailable: offline, cut off, or no answer in ``timeout`` seconds."""
        async with self._waiting_for(machine_id, key) as answer:
            await self.tell(machine_id, message, key=key)
            try:
                async with asyncio.timeout(timeout):
                    found = await answer
            except TimeoutError:
                raise Unavailable(SILENT) from None
        if not isinstance(found, kind):
            raise Unavailable(SILENT)
        return found

    @contextlib.asynccontextmanager
    async def _waiting_for(self, machine_id: int, key: str) -> AsyncIterator[asyncio.Future[Any]]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[machine_id, key] = future
        try:
            yield future
        finally:
            if self._waiting.get((machine_id, key)) is future:
                del self._waiting[machine_id, key]
            future.cancel()

    async def changed(self, machine_id: int) -> None:
        """A member approved, revoked, renamed or moved the machine: tell its agent if it is connected here."""
        connection = self._connections.get(machine_id)
        if connection is None:
            return
        before, connection.machine = connection.machine, await self.machines.get(machine_id)
        state = connection.machine.state
        if state is before.state:
            return
        with contextlib.suppress(Closed):
            if state is MachineState.APPROVED:
                await self.welcome(connection)
            elif state is MachineState.REVOKED:
                signature = connection.proof.sign(self.identity, "revoked")
                last = messages.encode(messages.Revoked(signature=signature))
                connection.wire.dismiss(wire.NOT_AUTHENTICATED, "revoked", last=last)

    async def welcome(self, connection: AgentConnection) -> None:
        signature = connection.proof.sign(self.identity, "welcome")
        await connection.send(messages.Welcome(signature=signature, cooperative=self._settings.cooperative))
        if self.identity.successor is not None:
            await connection.send(self.identity.announcement())
        self._later(self._back.ask(connection.machine))

    async def _react_to(self, machines: Sequence[Machine]) -> list[None]:
        for react, whom in self._reactions:
            concerned = await self._concerned(whom, machines)
            for machine in machines:
                if machine.id in concerned:
                    self._later(self._react(react, machine))
        return [None] * len(machines)

    async def _concerned(self, whom: Whom | None, machines: Sequence[Machine]) -> Collection[int]:
        every = [machine.id for machine in machines]
        try:
            return await whom(every) if whom else every
        except Exception:
            log.exception("who is back could not be looked up together: each by itself")
            return every

    async def _react(self, react: React, machine: Machine) -> None:
        try:
            await react(machine)
        except Exception:
            log.exception("machine %s is back, and something that waited for it failed", machine.id)

    async def keep_present(self) -> None:
        """Called every 10 seconds: drop the silent, vouch for the others, notice what other processes decided."""
        silent = time.monotonic() - messages.SILENCE
        for connection in [found for found in self._connections.values() if found.heard <= silent]:
            connection.wire.dismiss(wire.SILENT, "silent")
            self._later(self.left(connection))  # it may take long to close: nobody is there
        if self.identity.look():
            await self._announce()
        decided = await self.machines.alive()
        for machine_id in decided & self._connections.keys():
            self._later(self._notice(machine_id))

    async def _announce(self) -> None:
        """An administrator has prepared the identity key that will follow, or given it up."""
        announcement = self.identity.announcement()
        for machine_id in list(self._connections):
            self.tell_later(machine_id, announcement)

    async def _notice(self, machine_id: int) -> None:
        try:
            await self.changed(machine_id)
        except Exception:
            log.exception("what was decided about machine %s could not be told its agent yet", machine_id)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Beside the caller: whoever looks after all agents waits for none of them."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cancel(self, machine_id: int, id_: str) -> None:
        await self._tell_if_there(machine_id, messages.Cancel(id=id_))

    # scheduled checks

    def schedule_of(self, machine_id: int) -> str:
        """The digest of the schedule that the connected agent has; empty without one."""
        connection = self._connections.get(machine_id)
        return connection.schedule if connection else ""

    async def give_schedule(self, machine_id: int, schedule: messages.Schedule, digest: str) -> None:
        """Unless the agent has it. Raises Unavailable when the machine is offline."""
        connection = self._connections.get(machine_id)
        if connection is not None and connection.schedule != digest:
            await self.tell(machine_id, schedule)
            connection.schedule = digest

    async def check_now(self, machine_id: int, schedule: messages.Schedule, digest: str, timeout: float) -> None:
        """Have the agent evaluate the schedule now, and wait until its report is kept. Raises Unavailable."""
        await self.give_schedule(machine_id, schedule, digest)
        request = messages.CheckNow(request_id=str(uuid.uuid4()))
        await self._ask(machine_id, request.request_id, request, messages.CheckReport, timeout)

    def _checked(self, machine: Machine, report: messages.CheckReport) -> None:
        for request_id in report.request_ids:
            self._answer(machine.id, request_id, report)

    def tell_later(self, machine_id: int, message: messages.Message) -> None:
        """Say it beside the caller, if the machine is there."""
        self._later(self._tell_if_there(machine_id, message))

    async def _tell_if_there(self, machine_id: int, message: messages.Message) -> None:
        with contextlib.suppress(Unavailable):
            await self.tell(machine_id, message)

"""Look at the processes and services of a machine, and do something about one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import Conflict
from compagnon.kernel import Kernel
from compagnon_agent.protocol.processes import Action, Turn
from compagnon_agent.protocol.wire import WireError, boolean, read_record, record
from remote.processes.model import REFUSALS, Closely, Outcome, ServiceList, Table
from remote.sessions.call_room import CallFailed, CallRoom, Value, told
from remote.sessions.calling import Calling
from remote.sessions.model import Capability

T = TypeVar("T")
ORDER_SECONDS = 90.0  # a service may take its time to stop


class Processes:
    """Use cases of ``processes`` sessions. All raise what Calling.room and CallRoom.call raise.

    Conflict says why the machine did not do it: the process has ended, is the agent itself, …
    """

    def __init__(self, kernel: Kernel, calling: Calling) -> None:
        self._db = kernel.db
        self._calling = calling
        self._looked: WeakKeyDictionary[CallRoom, set[tuple[int, str]]] = WeakKeyDictionary()

    async def listed(self, session_id: str, member: Member) -> Table:
        """Those that use most first."""
        return _all_of(Table, await self._look(session_id, member, "processes.list", {}))

    async def closely(self, session_id: str, member: Member, *, pid: int, started: int) -> Closely:
        answer = await self._look(session_id, member, "processes.show", {"pid": pid, "started": started})
        return told(record(Closely), answer, "process")

    async def services(self, session_id: str, member: Member) -> ServiceList:
        return _all_of(ServiceList, await self._look(session_id, member, "processes.services", {}))

    async def end(self, session_id: str, member: Member, *, pid: int, started: int, name: str, kill: bool) -> bool:
        """Ask a process to end (SIGTERM), or ``kill`` one that was asked: has it ended?"""
        method = "processes.kill" if kill else "processes.end"
        arguments = {"pid": pid, "started": started}
        answer = await self._do(session_id, member, method, arguments, f"{pid} {name}", {"pid": pid, "name": name})
        return told(boolean, answer, "ended")

    async def prioritise(
        self, session_id: str, member: Member, *, pid: int, started: int, name: str, turn: Turn
    ) -> None:
        arguments = {"pid": pid, "started": started, "turn": turn.value}
        details = {"pid": pid, "name": name, "turn": turn.value}
        await self._do(session_id, member, "processes.prioritise", arguments, f"{turn.value} {pid} {name}", details)

    async def order(self, session_id: str, member: Member, *, name: str, action: Action) -> Outcome:
        """Start, stop, restart, enable or disable a service, and see what became of it."""
        arguments = {"name": name, "action": action.value}
        what = f"{action.value} {name}"
        answer = await self._do(session_id, member, "processes.service", arguments, what, arguments)
        return _all_of(Outcome, answer)

    async def _look(self, session_id: str, member: Member, method: str, arguments: Value) -> Value:
        """Looking is recorded once for each member and kind: the page looks again every few seconds."""
        room = await self._calling.room(session_id, member, Capability.PROCESSES, changes=False)
        looked = self._looked.setdefault(room, set())
        first = (member.id, method) not in looked or bool(arguments)
        what = " ".join([f"{method}: {member.name}", *(str(value) for value in arguments.values())])
        answer = await _asked(room, method, arguments, member, record_=what if first else "")
        looked.add((member.id, method))
        return answer

    async def _do(
        self, session_id: str, member: Member, method: str, arguments: Value, what: str, details: Mapping[str, Any]
    ) -> Value:
        room = await self._calling.room(session_id, member, Capability.PROCESSES, changes=True)
        async with self._db.transaction() as conn:
            await audit.record(
                conn,
                actor=Actor.member(member.id),
                action=method,
                subject=f"session:{session_id}",
                details={**details, "machine": room.machine_id},
            )
        return await _asked(room, method, arguments, member, record_=f"{method}: {what}", wait=ORDER_SECONDS)


async def _asked(
    room: CallRoom, method: str, arguments: Value, member: Member, *, record_: str, wait: float = 30.0
) -> Value:
    try:
        return await room.call(method, arguments, member_id=member.id, record=record_, wait=wait)
    except CallFailed as error:
        if error.code in REFUSALS:
            raise Conflict(REFUSALS[error.code]) from None
        raise


def _all_of(kind: type[T], answer: Value) -> T:
    """The whole answer as a record. Raises CallFailed for nonsense."""
    try:
        return read_record(kind, dict(answer), "")
    except WireError:
        raise CallFailed("malformed", "?") from None

"""Look at the processes of a machine, and end one."""

from __future__ import annotations

from collections.abc import Sequence

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.kernel import Kernel
from compagnon_agent.protocol.wire import record, sequence
from remote.processes.model import LISTED, Process
from remote.sessions.call_room import told
from remote.sessions.calling import Calling
from remote.sessions.model import Capability

_PROCESSES = sequence(record(Process), LISTED)


class Processes:
    """Use cases of ``processes`` sessions."""

    def __init__(self, kernel: Kernel, calling: Calling) -> None:
        self._db = kernel.db
        self._calling = calling

    async def listed(self, session_id: str, member: Member) -> Sequence[Process]:
        """The hungriest first. Raises what Calling.room and CallRoom.call raise."""
        room = await self._calling.room(session_id, member, Capability.PROCESSES, changes=False)
        answer = await room.call("processes.list", {}, member_id=member.id)
        return told(_PROCESSES, answer, "processes")

    async def end(self, session_id: str, member: Member, *, pid: int, started: int, name: str) -> None:
        """Ask a process to end (SIGTERM). Raises also CallFailed when the number is another process's by now."""
        room = await self._calling.room(session_id, member, Capability.PROCESSES, changes=True)
        actor, subject = Actor.member(member.id), f"session:{session_id}"
        details = {"pid": pid, "name": name, "machine": room.machine_id}
        async with self._db.transaction() as conn:
            await audit.record(conn, actor=actor, action="processes.end", subject=subject, details=details)
        arguments = {"pid": pid, "started": started}
        await room.call("processes.end", arguments, member_id=member.id, record=f"processes.end: {pid} {name}")

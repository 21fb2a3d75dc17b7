"""Where a run is, in the recordings and on the pages of its machine's sessions, whichever server process has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from compagnon_agent.protocol.wire import dumps, identifier, loads, optional, read_record, text, write_record
from procedures.ports import RunRef
from remote.control.nodes import Nodes
from remote.control.nodes_store import Mail
from remote.sessions.rooms import Rooms

STEP = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A step of a run on this machine for this ticket began (``outcome`` None) or ended."""

    machine_id: Annotated[int, identifier()]
    ticket_id: Annotated[int, identifier()]
    step: Annotated[str, text(200)]
    outcome: Annotated[str | None, optional(text(40))] = None


class StepMarks:
    """Implements ``procedures.ports.RunObserver``."""

    def __init__(self, rooms: Rooms, nodes: Nodes) -> None:
        self.on_step_ended: list[Callable[[RunRef], None]] = []
        self._rooms = rooms
        self._nodes = nodes
        nodes.on(STEP, self._told)

    async def step_started(self, run: RunRef, step_id: str) -> None:
        await self._note(run, f"step:{run.procedure}@{run.version}/{step_id}", None)

    async def step_ended(self, run: RunRef, step_id: str, outcome: str) -> None:
        await self._note(run, step_id, outcome)
        for tell in self.on_step_ended:
            tell(run)

    async def _note(self, run: RunRef, step: str, outcome: str | None) -> None:
        if run.machine_id is None or run.ticket_id is None:
            return
        note = Note(machine_id=run.machine_id, ticket_id=run.ticket_id, step=step, outcome=outcome)
        self._mark(note)
        await self._nodes.broadcast(STEP, dumps(write_record(note)))

    async def _told(self, mail: Mail) -> None:
        self._mark(read_record(Note, loads(mail.body, limit=4096), ""))

    def _mark(self, note: Note) -> None:
        for room in self._rooms.at(note.machine_id, note.ticket_id):
            if note.outcome is None:
                room.at_step(note.step)
            else:
                room.tell_all("step_ended", step=note.step, outcome=note.outcome)

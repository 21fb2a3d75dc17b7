"""The live room of one session: the agent's connection, the recording and the viewers meet here."""

from __future__ import annotations

import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import Frame, FrameKind
from remote.recordings.recorder import Recorder
from remote.recordings.service import LIMIT
from remote.sessions.model import Session
from remote.sessions.viewer import Viewer
from remote.wire import NORMAL, REPLACED, Closed, Wire

log = logging.getLogger(__name__)
QUIET = 6.0  # seconds without a frame after which the pages are told; an agent pings every 2, older ones every 5
PONG_EVERY = 0.1  # seconds
SILENCE = 15.0  # seconds without a frame after which the agent's link is taken for dead
MARKER_LIMIT = 200
FAR = 100_000  # columns or lines
EYES = 25.0  # seconds without a sign of life after which somebody does not count as being there; pages ping every 10


class Room(ABC):
    """All of it runs on one event loop; nothing here waits for a viewer.

    What is done is recorded first. When the recording cannot be written the room is ``frozen``: nothing is done until
    it can. What kind of session it is says what goes over the agent's connection (:class:`TerminalRoom`,
    :class:`CallRoom`).
    """

    def __init__(self, session: Session, recorder: Recorder, *, full: Callable[[str], None]) -> None:
        self.session_id = session.id
        self.machine_id = session.machine_id
        self.client_id = session.client_id
        self.ticket_id = session.ticket_id
        self.driver_id = session.driver_id
        self.recorder = recorder
        self.viewers: set[Viewer] = set()
        self.frozen = False
        self.moderated = False  # four eyes: nothing is typed or done while no second member is there
        self._told_alone = False
        self.lookers: frozenset[int] = frozenset()  # who may look and not point
        self.step = ""
        self.agent: Wire | None = None
        self.quiet = False  # its connection stands, and nothing comes over it
        self.heard = self.left_at = time.monotonic()
        self._ponged = 0.0
        self._full = full
        self._is_full = False

    # the agent's side

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether what is asked for reaches the machine now."""

    @abstractmethod
    async def _greet(self, wire: Wire) -> None:
        """The first messages on a new connection of the agent."""

    @abstractmethod
    def _left(self) -> None:
        """The agent's connection is gone."""

    @abstractmethod
    async def _take(self, frame: Frame) -> None:
        """A frame of the agent. Raises WireError, ValueError."""

    async def _hear(self, text: str) -> None:
        """A text message of the agent. Raises WireError."""
        log.debug("session %s: a text of %d characters is left alone", self.session_id, len(text))

    async def attach(self, wire: Wire) -> None:
        """A (new) connection of the agent takes over from the one before."""
        before, self.agent = self.agent, wire
        if before is not None:
            self._left()
            before.drop(REPLACED, "replaced")
        self.heard = time.monotonic()
        self.quiet = False
        await self._greet(wire)

    def detach(self, wire: Wire) -> None:
        if self.agent is not wire:
            return
        self.agent = None
        self.quiet = False
        self.left_at = time.monotonic()
        self._left()
        self.tell_all("link", agent=False)

    async def from_agent(self, raw: str | bytes) -> None:
        """Raises WireError when the agent breaks the rules, ValueError for input it cannot have received."""
        self.heard = time.monotonic()
        if self.quiet:
            self._heard_again()
        if isinstance(raw, str):
            await self._hear(raw)
            return
        frame = frames.decode(raw)
        if frame is None:
            return
        if frame.kind is FrameKind.PING:
            await self._pong(frame)
        else:
            await self._take(frame)

    def from_agent_at_once(self, raw: bytes) -> bool:
        """Take a message of the agent in the turn that read it; False leaves it, faults too, to ``from_agent``."""
        return False

    async def _pong(self, ping: Frame) -> None:
        """A flood of them is not answered with another."""
        if self.heard - self._ponged >= PONG_EVERY:
            self._ponged = self.heard
            await self._to_agent(frames.pong(ping.number).encode())

    async def _to_agent(self, data: str | bytes) -> None:
        if self.agent is None:
            return
        with contextlib.suppress(Closed):
            await self.agent.send(data)

    @property
    @abstractmethod
    def pumping(self) -> bool:
        """Whether something is being sent to the agent."""

    @abstractmethod
    async def pump(self) -> None:
        """Send the agent what is due, in order. Waits while the agent does not read: not for a watcher."""

    def look_at_link(self) -> None:
        """Say when the agent has fallen silent, long before its connection breaks. Called every second."""
        if self.quiet or self.agent is None or time.monotonic() - self.heard <= QUIET:
            return
        self.quiet = True
        self.tell_all("link", agent=False)

    def _heard_again(self) -> None:
        self.quiet = False
        if self.connected:
            self.tell_all("link", agent=True)
            self._ask_for_input()

    def silent(self) -> bool:
        return self.agent is not None and time.monotonic() - self.heard > SILENCE

    # the recording

    def _has_room(self) -> bool:
        """At the limit nothing goes through any more, and the session is ended: what is not recorded is not done."""
        if self._is_full:
            return False
        self._is_full = self.recorder.size >= LIMIT
        if self._is_full:
            self.frozen = True
            self.tell_all("frozen", frozen=True)
            self._full(self.session_id)
        return not self._is_full

    def _write(self, write: Callable[[], None]) -> bool:
        if not self._has_room():
            return False
        try:
            write()
        except OSError as error:
            if not self.frozen:
                log.error("session %s: the recording cannot be written (%s): input is frozen", self.session_id, error)
                self.frozen = True
                self.tell_all("frozen", frozen=True)
            return False
        if self.frozen:
            self.frozen = False
            self.tell_all("frozen", frozen=False)
            self._ask_for_input()
        return True

    def retry(self) -> bool:
        """Try the disk again: does it take something?"""
        return self._write(self.recorder.touch)

    def mark(self, label: str) -> bool:
        """A place in the recording to jump to later; False when it could not be written."""
        return self._write(lambda: self.recorder.mark(label[:MARKER_LIMIT]))

    def at_step(self, label: str) -> None:
        self.step = label
        self.mark(label)
        self.tell_all("step", step=label)

    # the viewers' side

    @abstractmethod
    def _welcome(self, viewer: Viewer) -> dict[str, object]:
        """What a page that comes in must know of this kind of session."""

    @abstractmethod
    async def take(self, viewer: Viewer, frame: Frame) -> None:
        """A frame of a page. Raises WireError, ValueError."""

    def take_at_once(self, viewer: Viewer, raw: bytes) -> bool:
        """Take a message of a page in the turn that read it; False leaves it, faults too, to ``take``."""
        return False

    def point(self, viewer: Viewer, note: Mapping[str, Any]) -> None:
        """Show the others where this page points: hints, of which a slow page gets fewer. Raises ValueError."""
        place = pointed(note)
        if viewer.member_id in self.lookers or not viewer.may_point(time.monotonic()):
            return
        for other in self.viewers:
            if other is not viewer:
                other.hint("point", id=viewer.member_id, name=viewer.name, **place)

    def note(self, viewer: Viewer, note: Mapping[str, Any]) -> None:
        """A message of a page that this kind of session knows. Raises ValueError."""
        log.debug("session %s: a page's %r is left alone", self.session_id, note.get("type"))

    def next_for(self, viewer: Viewer) -> Frame | None:
        """The next frame for a page, at its own pace; None for now."""
        return None

    def enter(self, viewer: Viewer) -> None:
        self.viewers.add(viewer)
        viewer.tell(
            "welcome",
            you=viewer.member_id,
            driver=self.driver_id,
            agent=self.connected,
            frozen=self.frozen,
            alone=self.alone,
            moderated=self.moderated,
            step=self.step,
            **self._welcome(viewer),
        )
        self.look_around()
        self.tell_people()

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        self.look_around()
        self.tell_people()

    @property
    def alone(self) -> bool:
        """Four eyes are asked for and fewer than two members are there, awake and still allowed."""
        if not self.moderated:
            return False
        awake = time.monotonic() - EYES
        return len({one.member_id for one in self.viewers if one.allowed and one.member_id and one.heard > awake}) < 2

    def look_around(self) -> None:
        """Say when somebody's coming or leaving stops or frees the input. Called every second too."""
        alone = self.alone
        if alone == self._told_alone:
            return
        self._told_alone = alone
        self.mark("four eyes: alone" if alone else "four eyes: together")
        self.tell_all("eyes", alone=alone, moderated=self.moderated)
        if not alone:
            self._ask_for_input()

    def here(self, member_id: int | None) -> bool:
        return any(viewer.member_id == member_id for viewer in self.viewers)

    def tell_all(self, kind: str, **facts: object) -> None:
        for viewer in self.viewers:
            viewer.tell(kind, **facts)

    def tell_people(self) -> None:
        names = {viewer.member_id: viewer.name for viewer in self.viewers}
        people = [
            {"id": member_id, "name": name, "driver": member_id == self.driver_id} for member_id, name in names.items()
        ]
        self.tell_all("people", people=sorted(people, key=lambda person: str(person["name"])), driver=self.driver_id)

    def driven_by(self, member_id: int, name: str) -> None:
        self.driver_id = member_id
        self.mark(f"keyboard: {name}")
        self.tell_people()
        self._ask_for_input()

    @abstractmethod
    def _ask_for_input(self) -> None:
        """Input is taken again, or from somebody else: ask for what was held back."""

    # the end

    @property
    def wires(self) -> list[Wire]:
        return [viewer.wire for viewer in self.viewers] + ([self.agent] if self.agent else [])

    def end(self, reason: str) -> None:
        """Tell everybody, and close the recording. Waits for nobody."""
        agent, self.agent = self.agent, None
        for viewer in self.viewers:
            viewer.finish(reason)
        with contextlib.suppress(OSError):
            self.recorder.mark(f"ended: {reason}")
        self.recorder.close()
        if agent is not None:
            agent.dismiss(NORMAL, reason, last=frames.close(reason).encode())


def pointed(note: Mapping[str, Any]) -> dict[str, int]:
    """Column and line (up from the bottom of the screen), and where a marked stretch ends. Raises ValueError."""
    place = {name: note.get(name) for name in ("column", "line", "to_column", "to_line") if name in note}
    if not {"column", "line"} <= set(place) or ("to_column" in place) != ("to_line" in place):
        raise ValueError("points nowhere")
    found: dict[str, int] = {}
    for name, value in place.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= FAR:
            raise ValueError("points nowhere")
        found[name] = value
    return found

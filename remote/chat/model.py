"""What is written in a chat session, by members and by the person at the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from compagnon_agent.protocol.spoken import CHARACTERS, NAME
from compagnon_agent.protocol.wire import integer, text

LINES = 2000  # of one session: a conversation that is longer goes on in another
SHOWN = 500  # the last lines on the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """``member_id`` is None for the person at the machine; ``shown_at`` None until a member's line is before them."""

    id: int
    session_id: str
    member_id: int | None
    name: str
    body: str
    at: datetime
    shown_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A line of the person at the machine, as its agent tells it: ``number`` counts up over the session."""

    number: Annotated[int, integer(1, 2**53)]
    text: Annotated[str, text(CHARACTERS, minimum=1)]
    person: Annotated[str, text(NAME)] = ""


def recorded(name: str, body: str) -> bytes:
    """A line as the recording holds it: what ``spoken`` left has no control character but its line ends."""
    return f"{name}:\n{body}\n\n".replace("\n", "\r\n").encode()


def by_session(lines: Sequence[Line]) -> Mapping[str, Sequence[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.session_id, []).append(line)
    return found

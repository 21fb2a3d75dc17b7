"""What a capability may use of the agent around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..desk.core import Desk
from ..protocol.wire import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """``desk`` shows things on the screen of whoever is there; ``write_down`` adds to the agent's audit log;
    ``withdraw`` takes back the session's consent to one capability (``screen.control``); ``state`` is its own folder.
    """

    desk: Desk
    write_down: Callable[[str, Mapping[str, JSON]], object]
    withdraw: Callable[[str], None]
    state: Path

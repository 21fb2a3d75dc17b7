"""How runs ended, kept in memory: read by every search, changed a few times an hour."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Protocol

from kb.learning.model import Outcome

log = logging.getLogger(__name__)
KEPT = 60.0  # seconds


class Outcomes(Protocol):
    """Implemented above, where runs and machines are known."""

    async def outcomes(self) -> Sequence[Outcome]:
        """For each document key, the runs that are over: for each environment that had some, and for all (``""``)."""
        ...


class KnownOutcomes:
    """The outcomes as they were a minute ago at most; the first question waits for them, the others never do."""

    def __init__(self) -> None:
        self.source: Outcomes | None = None
        self._known: dict[tuple[str, str], Outcome] = {}
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None

    def of(self, key: str, environment: str) -> Outcome | None:
        return self._known.get((key, environment))

    async def refresh(self) -> None:
        """Read them anew when they are old; does not raise: without them, documents are ranked by their text."""
        if self.source is None or (self._read_at is not None and time.monotonic() - self._read_at < KEPT):
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(self.source), name="run-outcomes")
        if self._read_at is None:
            await asyncio.shield(self._reading)

    async def _read(self, source: Outcomes) -> None:
        try:
            found = await source.outcomes()
        except Exception:
            log.exception("how runs ended cannot be read")
        else:
            self._known = {(outcome.document, outcome.environment): outcome for outcome in found}
        self._read_at = time.monotonic()

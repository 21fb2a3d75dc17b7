"""A line of a log, and what is asked of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from ..protocol.wire import JSON, boolean, clean_text, integer, text
from ..question import visible

TEXT = 2000
"""Characters of a line; the rest is cut, and the cut shown."""

DEBUG = 7
UNKNOWN = 6
"""What a line that does not say its severity is taken for (syslog's "info", RFC 5424 §6.2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """``severity``: that or worse (RFC 5424: 0 emergency … 7 debug). ``since``, ``until`` in Unix time, 0: any.

    ``text`` is looked for as it is, in any case; ``regex``: as a regular expression. ``cursor``: lines before it (when
    read) or after it (when followed), as a former answer gave it; empty: from the newest on.
    """

    source: Annotated[str, text(300, minimum=1)]
    unit: Annotated[str, text(200)] = ""
    severity: Annotated[int, integer(0, DEBUG)] = DEBUG
    since: Annotated[int, integer(0, 2**40)] = 0
    until: Annotated[int, integer(0, 2**40)] = 0
    text: Annotated[str, text(200)] = ""
    regex: Annotated[bool, boolean] = False
    cursor: Annotated[str, text(400)] = ""
    limit: Annotated[int, integer(1, 500)] = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """``at`` in milliseconds of Unix time, 0 where the line does not say. ``cursor``: just this line."""

    at: int
    severity: int
    unit: str
    text: str
    cursor: str


class Wanted:
    """Whether a line is what was asked for. The expression was compiled: ``re.error`` came when this was made."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._fixed = query.text.casefold()
        self._pattern = re.compile(query.text, re.IGNORECASE) if query.regex and query.text else None

    def __call__(self, line: Line) -> bool:
        query = self._query
        if line.severity > query.severity or (query.unit and query.unit.casefold() not in line.unit.casefold()):
            return False
        if line.at and (line.at < 1000 * query.since or (query.until and line.at > 1000 * query.until)):
            return False
        if self._pattern is not None:
            return self._pattern.search(line.text) is not None
        return self._fixed in line.text.casefold()

    def too_old(self, line: Line) -> bool:
        """Going back, nothing that is wanted comes any more."""
        return 0 < line.at < 1000 * self._query.since


def shown(value: str) -> str:
    """A message as it can be shown: nothing hidden, nothing endless, its lines kept."""
    lines = clean_text(value[: TEXT + 1]).replace("\r\n", "\n").split("\n")
    text = "\n".join(visible(line) for line in lines)
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def as_json(line: Line) -> dict[str, JSON]:
    return {"at": line.at, "severity": line.severity, "unit": line.unit[:100], "text": line.text}

"""Text as a terminal shows it, from what a program sent to one: no colours, no overstrikes, no progress bars."""

from __future__ import annotations

import re
import unicodedata

# ECMA-48: control sequences (§5.4), then control strings (§5.6), then the other escapes. None looks back or twice at a
# character, so that hostile text costs no more than its length.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_OVERSTRUCK = re.compile(r"[^\n\x08]\x08")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def shown(text: str, limit: int) -> str:
    """The last ``limit`` characters as lines of plain text."""
    plain = _OVERSTRUCK.sub("", _SEQUENCES.sub("", text[-limit:].replace("\r\n", "\n")))
    return "\n".join(_line(line) for line in plain.split("\n"))


def _line(line: str) -> str:
    """What stands on the line in the end: a carriage return begins it anew."""
    rewritten = [part for part in line.split("\r") if part.strip()]
    last = rewritten[-1] if rewritten else ""
    return "".join(" " if c == "\t" else c for c in last if c == "\t" or unicodedata.category(c) not in _DROPPED)

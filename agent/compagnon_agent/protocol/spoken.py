"""What people write to each other in a chat: plain lines, bounded, nothing that moves or hides other characters."""

from __future__ import annotations

import unicodedata

CHARACTERS = 2000
LINES = 40
NAME = 80

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def spoken(value: str) -> str:
    """At most :data:`CHARACTERS` in :data:`LINES` lines, without control or bidirectional characters; may be empty."""
    kept = (_plain(line) for line in value[: 4 * CHARACTERS].replace("\r\n", "\n").split("\n"))
    return "\n".join(list(kept)[:LINES]).strip()[:CHARACTERS]


def name_of(value: str) -> str:
    """A name, in one line of at most :data:`NAME` characters."""
    return _plain(value[: 4 * NAME]).strip()[:NAME]


def _plain(line: str) -> str:
    return "".join(" " if character.isspace() else character for character in line if _shows(character))


def _shows(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in _HIDDEN

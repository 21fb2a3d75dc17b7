"""Where two texts differ, word by word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

MAX_PIECES = 1000
"""Texts of more words are compared line by line: comparing grows with the square of the number of pieces, and more."""

FEW_PIECES = 250
"""Above, words that come again and again no longer anchor the comparison: they are what makes it slow."""

_WORDS = re.compile(r"(?:\w+|[^\w\s])\s*|\s+")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


class Kind(StrEnum):
    SAME = "same"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of text: in both (``SAME``), only before (``REMOVED``) or only after (``ADDED``)."""

    kind: Kind
    text: str


def pieces(before: str, after: str) -> tuple[Piece, ...]:
    """Where the two differ. All but ADDED joined gives ``before``; all but REMOVED gives ``after``."""
    old, new = _cut(before, after)
    found: list[Piece] = []
    junk = max(len(old), len(new)) > FEW_PIECES
    for _, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=junk).get_opcodes():
        removed, added = "".join(old[i1:i2]), "".join(new[j1:j2])
        if removed == added:
            found.append(Piece(kind=Kind.SAME, text=removed))
            continue
        found += [Piece(kind=Kind.REMOVED, text=removed)] if removed else []
        found += [Piece(kind=Kind.ADDED, text=added)] if added else []
    return tuple(found)


def _cut(before: str, after: str) -> tuple[list[str], list[str]]:
    """Into words where that is affordable, else into lines, else not at all."""
    for pattern in (_WORDS, _LINES):
        old, new = pattern.findall(before), pattern.findall(after)
        if max(len(old), len(new)) <= MAX_PIECES:
            return old, new
    return [before], [after]

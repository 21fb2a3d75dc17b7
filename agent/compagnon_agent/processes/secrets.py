"""Command lines are shown to whoever helps, and recorded: passwords in them are not.

A courtesy, not a boundary: a program that takes a secret in a form of its own is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

HIDDEN = "•••"
_NAMES = (
    r"pass(word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|auth|credentials?|user-?pass"
)
_OPTION = re.compile(rf"(?i)^(-{{1,2}}|/)([\w-]*[-_])?({_NAMES})$")
_GIVEN = re.compile(rf"(?i)^((?:-{{1,2}}|/)?(?:[\w.-]*[-_.])?(?:{_NAMES})[=:])(.+)$", re.DOTALL)
_ENVIRONMENT = re.compile(rf"^(\w*(?:{_NAMES.upper()})\w*=)(.+)$", re.DOTALL)
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@]*):([^\s/@]+)@", re.IGNORECASE)
_HEADER = re.compile(r"(?i)^((?:proxy-)?authorization:\s*\w*\s?)(.+)$", re.DOTALL)
_SHORT = {"mysql": "-p", "mysqldump": "-p", "mysqladmin": "-p", "mariadb": "-p", "mariadb-dump": "-p", "sshpass": "-p"}


def masked(words: Sequence[str]) -> list[str]:
    """The same words, with what looks like a secret replaced by :data:`HIDDEN`."""
    return list(_masked(words))


def _masked(words: Sequence[str]) -> Iterator[str]:
    short = _SHORT.get(words[0].rpartition("/")[2]) if words else None
    hide_next = False
    for word in words:
        if hide_next and not word.startswith("--"):
            yield HIDDEN
            hide_next = False
            continue
        hide_next = _OPTION.match(word) is not None or (short == word and words[0].endswith("sshpass"))
        yield f"{short}{HIDDEN}" if short and word.startswith(short) and len(word) > len(short) else _one(word)


def _one(word: str) -> str:
    for pattern in (_GIVEN, _ENVIRONMENT, _HEADER):
        found = pattern.match(word)
        if found:
            return f"{found.group(1)}{HIDDEN}"
    return _ADDRESS.sub(rf"\1:{HIDDEN}@", word)

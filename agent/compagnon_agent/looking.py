"""What may be looked at without a grant. Pure: :func:`.authorise.authorise` takes this decision as all others.

Yes or no about a text, asked often enough, is the text itself. So the server may ask only about texts that everyone on
this machine may read anyway, and about not many of them a day; what lies behind the machine, in its owner's network, is
no page that the server may have fetched.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .protocol.checks import Check, expected_attributes, is_read_only
from .protocol.wire import JSON, dumps

NEW_QUESTIONS = 200
"""New questions about texts that are answered within a day without a grant; known ones are answered again and again."""

COMMAND = "a command check runs only as part of a consented procedure"
NOT_PUBLIC = "needs consent: not everyone on this machine may read this"
NOT_LOCAL = "needs consent: without one, only pages of the machine itself are asked for"
TOO_MANY = f"needs consent: {NEW_QUESTIONS} new questions about texts were answered within a day already"

_ABOUT_TEXT: Mapping[str, frozenset[str]] = {
    "file": frozenset({"contents", "contains", "md5", "sha256", "sha512"}),
    "http": frozenset({"body", "headers"}),
}
_OWN_PAGE = re.compile(
    r"https?://(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?(?:[/?#].*)?", re.IGNORECASE
)
_PUBLIC_HIVE = re.compile(r"HKLM\\(?:SOFTWARE|SYSTEM)(?:\\.*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What must be known of this machine.

    Paths (keys of checks) that everyone may read, digests of the questions that were answered before, and how many new
    ones may be answered today.
    """

    public: frozenset[str] = frozenset()
    answered: frozenset[str] = frozenset()
    left: int = 0


BLIND = Sight()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """``withheld``: the reason, by the check's place in the list. ``asked``: digests of what is newly answered."""

    withheld: Mapping[int, str] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()


def look(checks: Sequence[Check], sight: Sight) -> Look:
    """Which of these may not be evaluated without a grant. Those that may are counted, in order."""
    withheld: dict[int, str] = {}
    asked: set[str] = set()
    for index, check in enumerate(checks):
        new = set(questions(check)) - sight.answered - asked
        reason = _closed(check, sight) or (TOO_MANY if len(asked) + len(new) > sight.left and new else "")
        if reason:
            withheld[index] = reason
        else:
            asked |= new
    return Look(withheld=withheld, asked=frozenset(asked))


def commands(checks: Sequence[Check]) -> Look:
    """The same where the machine's own policy grants everything: only what executes is withheld."""
    return Look(withheld={index: COMMAND for index, check in enumerate(checks) if not is_read_only(check)})


def reads(check: Check) -> bool:
    """Whether the answer depends on the text of a file."""
    return check.resource == "file" and bool(_about_text(check)) and check.attributes.get("skip") is not True


def own_page(url: str) -> bool:
    """Whether the URL names the machine itself, written so that no two readers can see two hosts in it."""
    return _OWN_PAGE.fullmatch(url) is not None


def _closed(check: Check, sight: Sight) -> str:
    if not is_read_only(check):
        return COMMAND
    if reads(check) and check.key not in sight.public:
        return NOT_PUBLIC
    if check.resource == "http" and not own_page(check.key):
        return NOT_LOCAL
    if check.resource == "registry" and not _PUBLIC_HIVE.fullmatch(check.key):
        return NOT_PUBLIC
    return ""


def questions(check: Check) -> Iterator[str]:
    """A digest for each single thing that is asked about a text: each pattern of a list is one."""
    for name, expected in _about_text(check).items():
        for single in _singles(expected):
            yield hashlib.sha256(dumps([check.resource, check.key, name, single]).encode()).hexdigest()


def _about_text(check: Check) -> dict[str, JSON]:
    names = _ABOUT_TEXT.get(check.resource, frozenset())
    return {name: value for name, value in expected_attributes(check).items() if name in names}


def _singles(expected: JSON) -> Iterator[JSON]:
    if isinstance(expected, list):
        for item in expected:
            yield from _singles(item)
    elif isinstance(expected, Mapping):
        for name, operand in expected.items():
            yield from ([name, single] for single in _singles(operand))
    else:
        yield expected

"""What is learned from searches: which past questions belong to a document, how well a procedure does.

Only rules; nothing here knows a database or a page. One wrong click teaches nothing: a question counts for a document
once somebody followed it to a good end, or once several members opened it for the same question.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

RETENTION = timedelta(days=365)
"""How long questions are kept: they are personal data, and the field changes."""
HALF_LIFE = timedelta(days=120)
"""After this time a use counts half."""
REMEMBERED = timedelta(hours=8)
"""A run started this long after a document was opened still belongs to the question: a working day."""
MAX_QUERIES = 8
SEVERAL = 3  # members who opened the document for the same question
FOLLOWED_LONELY = 2  # the same, where one of them began a run
OPENED, FOLLOWED, ENDED_WELL, ENDED_BADLY = 1.0, 2.0, 4.0, -3.0
MINIMUM = 0.5  # strength under which a question is forgotten
MINIMUM_RUNS = 5  # under which a success rate says nothing
SUCCESS_WEIGHT = 0.12  # share of the best text score that a procedure earns which never fails
MAX_TEXT = 256
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_PHONE = re.compile(r"(?<![\w.-])(?!\d{1,3}(?:\.\d{1,3}){3}(?![.\d]))\+?\d(?:[ .-]?\d){7,14}(?![\w-])")  # no IPv4
_WORD = re.compile(r"[^\W_]+")


class Ending(StrEnum):
    """How it ended: nobody said, the run succeeded or "this was it", or it did not help."""

    OPEN = ""
    WELL = "well"
    BADLY = "badly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One member opened one document for one question.

    ``norm`` is the same for the same question however written; ``member_id`` None: they cleared their history.
    """

    document: str
    text: str
    norm: str
    member_id: int | None
    opened_at: datetime
    followed: bool = False
    ending: Ending = Ending.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the runs of a procedure ended; ``environment`` "" for all machines together."""

    document: str
    environment: str = ""
    well: int = 0
    total: int = 0

    @property
    def known(self) -> bool:
        return self.total >= MINIMUM_RUNS

    @property
    def sure(self) -> float:
        """The success rate that may be relied on, 0..1."""
        return wilson(self.well, self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """A question that a member asked lately."""

    text: str
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A question that found nothing, however it was written: how often, and by how many members."""

    norm: str
    text: str
    times: int
    members: int
    last_at: datetime


def clean(raw: str) -> str:
    """A question as it is kept: one line, no control characters, no mail address, no phone number; "" when empty."""
    kept = "".join(" " if c in "\t\r\n" else c for c in raw[: 4 * MAX_TEXT])
    kept = "".join(c for c in kept if unicodedata.category(c) not in _DROPPED)
    kept = _PHONE.sub(" ", _MAIL.sub(" ", kept))
    return " ".join(unicodedata.normalize("NFC", kept).split())[:MAX_TEXT].strip()


def norm(text: str) -> str:
    """What two ways to write the same question have in common; "" for a question without a word."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return " ".join(_WORD.findall(plain))[: 2 * MAX_TEXT]


def strength(use: Use, now: datetime) -> float:
    """What a use counts now: more the further it went, half after each :data:`HALF_LIFE`."""
    worth = FOLLOWED if use.followed else OPENED
    if use.ending == Ending.WELL:
        worth = ENDED_WELL
    elif use.ending == Ending.BADLY:
        worth = ENDED_BADLY
    return worth * math.pow(0.5, max(now - use.opened_at, timedelta(0)) / HALF_LIFE)


def lessons(uses: Iterable[Use], now: datetime) -> tuple[str, ...]:
    """The past questions of one document, strongest first, each once, at most :data:`MAX_QUERIES`."""
    groups: dict[str, list[Use]] = {}
    for use in uses:
        if now - use.opened_at < RETENTION:
            groups.setdefault(use.norm, []).append(use)
    weighed = [(_group_strength(group, now), group) for group in groups.values() if _real(group)]
    kept = sorted((pair for pair in weighed if pair[0] >= MINIMUM), key=lambda pair: (-pair[0], pair[1][0].norm))
    return tuple(max(group, key=lambda use: use.opened_at).text for _, group in kept[:MAX_QUERIES])


def _real(group: Sequence[Use]) -> bool:
    """Somebody ended well with it, or several members opened it (fewer where one began a run)."""
    if any(use.ending == Ending.WELL for use in group):
        return True
    members = len({use.member_id for use in group})
    return members >= (FOLLOWED_LONELY if any(use.followed for use in group) else SEVERAL)


def _group_strength(group: Sequence[Use], now: datetime) -> float:
    """Each member counts once, with what speaks loudest: clicking often is no argument."""
    loudest: dict[int | None, float] = {}
    for use in group:
        worth = strength(use, now)
        known = loudest.get(use.member_id, 0.0)
        loudest[use.member_id] = worth if abs(worth) >= abs(known) else known
    return sum(loudest.values())


def wilson(well: int, total: int, z: float = 1.96) -> float:
    """Lower bound of the 95 % score interval of a proportion (E. B. Wilson, 1927): 3 of 3 proves less than 30 of 31."""
    if total <= 0:
        return 0.0
    rate, square = well / total, z * z
    centre = rate + square / (2 * total)
    spread = z * math.sqrt(rate * (1 - rate) / total + square / (4 * total * total))
    return max(0.0, (centre - spread) / (1 + square / total))


def success_weight(outcome: Outcome) -> float:
    """What the runs add to a document's rank; nothing below :data:`MINIMUM_RUNS`."""
    return SUCCESS_WEIGHT * outcome.sure if outcome.known else 0.0

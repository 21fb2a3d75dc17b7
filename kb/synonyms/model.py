"""A group of synonyms, its versions, and the rules of a good group."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MINIMUM_WORDS, MAXIMUM_WORDS = 2, 12
WORD_LIMIT = 40  # characters of a word or phrase
REASON_LIMIT = 500  # characters
REASON_MINIMUM = 3
TEXT_LIMIT = MAXIMUM_WORDS * (WORD_LIMIT + 20)  # characters of the field in which all words are typed
LOCALES = ("fr", "en")
_SEPARATORS = re.compile(r"[\n,;=]")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


class State(StrEnum):
    """``WITHDRAWN``: the version whose approval ended its group."""

    PROPOSED = "proposed"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a group says: ``words`` of equal meaning in ``locale`` ("": in both languages)."""

    locale: str
    words: tuple[str, ...]

    @property
    def locales(self) -> tuple[str, ...]:
        return (self.locale,) if self.locale else LOCALES


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One wording of a group. ``number`` is None until it was approved; ``removes``: its approval ends the group."""

    id: int
    group_id: int
    number: int | None
    state: State
    locale: str
    words: Sequence[str]
    removes: bool
    reason: str
    author_id: int
    author_name: str
    based_on: int | None
    decided_by: int | None
    decided_name: str | None
    decided_at: datetime | None
    remark: str
    created_at: datetime

    @property
    def wording(self) -> Wording:
        return Wording(locale=self.locale, words=tuple(self.words))

    @property
    def url(self) -> str:
        return f"/search/synonyms/{self.group_id}"

    @property
    def title(self) -> str:
        return " = ".join(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A group with everything that was ever said of it, newest first."""

    group_id: int
    versions: Sequence[Version]

    @property
    def current(self) -> Version | None:
        """What is in force; None before the first approval and after the last."""
        return next((version for version in self.versions if version.state == State.PUBLISHED), None)

    @property
    def proposal(self) -> Version | None:
        return next((version for version in self.versions if version.state == State.PROPOSED), None)

    @property
    def head(self) -> Version:
        """What a change starts from: what is in force, else the newest version."""
        return self.current or self.versions[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a group changes for whoever types ``word``: documents found by it alone, and those that the others add.

    ``more``: not all documents could be counted, there are at least so many.
    """

    word: str
    found: int
    added: int
    more: bool = False


def split(typed: str) -> tuple[str, ...]:
    """The words of a field, between commas, semicolons, equal signs or line ends; white space collapsed, none twice."""
    clean = unicodedata.normalize("NFC", typed[:TEXT_LIMIT])
    found: dict[str, str] = {}
    for part in _SEPARATORS.split(clean):
        word = " ".join(_shown(part).split())
        found.setdefault(word.casefold(), word)
    return tuple(word for word in found.values() if word)


def _shown(part: str) -> str:
    return "".join(c if c.isspace() or unicodedata.category(c) not in _HIDDEN else " " for c in part)


def twins(readings: Mapping[str, str]) -> tuple[str, str] | None:
    """Two words (of ``word → reading``) that the search reads alike; one of them is enough."""
    seen: dict[str, str] = {}
    for word, reading in readings.items():
        if reading in seen:
            return seen[reading], word
        seen[reading] = word
    return None


def difference(before: Iterable[str], after: Iterable[str]) -> tuple[list[str], list[str], list[str]]:
    """Words that stay, come and go."""
    old, new = list(before), list(after)
    return [word for word in new if word in old], [w for w in new if w not in old], [w for w in old if w not in new]

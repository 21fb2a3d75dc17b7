"""What is searched, what is asked and what is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

MAX_QUERY_CHARACTERS = 256
MAX_QUERY_TERMS = 32
MAX_LIMIT = 100
MAX_FACET_VALUES = 100  # of one facet, the most frequent ones
SYSTEMS = ("linux", "windows", "macos")
STATES = ("published", "known-error", "stale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One procedure or article as the library's index sees it. Plain text in every field; no markup.

    ``id`` is unique within ``kind`` and never reused. A procedure in two languages is two documents (``imp-001.fr``).
    ``environments`` and ``skills`` are codes; ``queries`` are past questions that this document answered; ``os`` are of
    ``SYSTEMS``; ``state`` is one of ``STATES`` or empty; ``reviewed`` the ISO date of the last review, empty: unknown.
    """

    kind: str
    id: str
    title: str
    url: str
    locale: str = "fr"
    symptoms: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    body: str = ""
    queries: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    os: tuple[str, ...] = ()
    state: str = ""
    reviewed: str = ""

    @property
    def key(self) -> str:
        return document_key(self.kind, self.id)

    @property
    def family(self) -> str:
        """The key without the language: the same for all languages of one document."""
        return document_key(self.kind, self.id.removesuffix(f".{self.locale}"))


def document_key(kind: str, id_: str | int) -> str:
    """How boosts and the outbox name a document."""
    return f"{kind}:{id_}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Each non-empty field keeps only documents that have one of its values."""

    kinds: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    locales: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    os: tuple[str, ...] = ()
    states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SynonymGroup:
    """``words`` and expressions that mean the same in documents of ``locale``: "fr", "en", or "" for both."""

    locale: str = ""
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a document was ranked where it is: an English msgid with ``{named}`` fields, filled after translation."""

    message: str
    params: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boost:
    """Evidence beside the text. ``weight`` 0..1: the share of the best text score that is added.

    0.5 moves a good match to the top, 1 puts a document there that does not match a single word.
    """

    reason: Reason | str
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError("weight must be between 0 and 1")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of plain text of a snippet; ``marked`` where a searched word stands. Never HTML."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """``score`` only compares hits of one answer. ``badges`` are short plain texts, such as an environment's code.

    ``locale``, ``state`` and ``reviewed`` are those of a library document; empty for records.
    """

    kind: str
    id: str
    title: str
    url: str
    snippet: Sequence[Piece] = ()
    score: float = 0.0
    why: Sequence[Reason] = ()
    badges: Sequence[str] = ()
    locale: str = ""
    state: str = ""
    reviewed: str = ""

    @property
    def key(self) -> str:
        return document_key(self.kind, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The hits of one kind. ``label`` is an English msgid (plural noun), ``icon`` a Tabler icon name.

    ``notices`` say what of this kind was not looked through.
    """

    kind: str
    label: str
    icon: str
    hits: Sequence[Hit]
    notices: Sequence[Reason] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """How many of the found documents have each value; values without any are left out."""

    kind: Mapping[str, int] = field(default_factory=dict)
    environment: Mapping[str, int] = field(default_factory=dict)
    locale: Mapping[str, int] = field(default_factory=dict)
    skill: Mapping[str, int] = field(default_factory=dict)
    os: Mapping[str, int] = field(default_factory=dict)
    state: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Another spelling of a question: ``asked`` as typed, ``text`` as it is probably meant.

    ``automatic``: a word as typed is nowhere in the library, so what is shown was found for ``text``. Otherwise the
    answer is for ``asked``, and ``text`` is only offered.
    """

    asked: str
    text: str
    automatic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best ``hits`` of ``total`` documents; ``notices`` tell the person what was left out and why."""

    hits: Sequence[Hit] = ()
    total: int = 0
    facets: Facets = field(default_factory=Facets)
    notices: Sequence[Reason] = ()
    corrected: Correction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the one search box shows: groups of hits, the library's facets, notices."""

    groups: Sequence[Group] = ()
    facets: Facets = field(default_factory=Facets)
    notices: Sequence[Reason] = ()
    corrected: Correction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the search page shows: one ranked list of the library, then the records, kind by kind."""

    library: Found = field(default_factory=Found)
    records: Sequence[Group] = ()
    notices: Sequence[Reason] = ()

    @property
    def count(self) -> int:
        """How much was found, at least."""
        return self.library.total + sum(len(group.hits) for group in self.records)


class IndexPhase(StrEnum):
    READY = "ready"
    BUILDING = "building"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """``done`` of ``total`` documents are in the index that is being built."""

    phase: IndexPhase
    done: int = 0
    total: int = 0

"""The seam between the library search and what keeps its index.

An engine ranks documents by text; it knows nothing of the database, of members or of pages. Everything here is blocking
and thread-safe: the service calls it from its own threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kb.search.model import Document, Facets, Filters
from kb.search.question import Question


class IndexBroken(Exception):
    """The index is missing, damaged or of another version: it must be built anew."""


class SearchTimeout(Exception):
    """The question took longer than it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A found document and the words of the question that it holds (as they were typed).

    ``meant``: words that it does not hold, each with the synonym that it holds instead.
    """

    document: Document
    score: float
    matched: Sequence[str] = ()
    meant: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The best documents of ``total``, and the counts of every value of the facets over all of them.

    ``loosened``: no document holds a quoted phrase side by side, so its words were searched anywhere. ``unknown``: the
    words of the question, as typed, that no document of the whole index holds in any field.
    """

    ranked: Sequence[Ranked] = ()
    total: int = 0
    facets: Facets = field(default_factory=Facets)
    loosened: bool = False
    unknown: Sequence[str] = ()


class SearchEngine(Protocol):
    def open(self) -> None:
        """Make ready to search. Raises IndexBroken when there is no usable index."""
        ...

    def begin(self) -> None:
        """Start an empty index beside the present one, which is searched until ``finish``."""
        ...

    def add(self, documents: Iterable[Document]) -> None:
        """Put documents into the index that was begun."""
        ...

    def finish(self) -> None:
        """The index that was begun takes the place of the present one."""
        ...

    def abandon(self) -> None:
        """Forget the index that was begun; nothing happens when there is none."""
        ...

    def update(self, documents: Iterable[Document], removed: Iterable[str] = ()) -> None:
        """Put documents in (each replaces the one of its key) and take the keys ``removed`` out, in one commit that
        every process which has this index open sees at its next search. One writer at a time.
        """
        ...

    def search(
        self,
        question: Question,
        *,
        filters: Filters,
        limit: int,
        boosts: Mapping[str, float],
        timeout: float,
    ) -> Ranking:
        """Rank. ``boosts``: document key → share of the best text score to add. ``timeout`` in seconds.

        Raises IndexBroken, SearchTimeout.
        """
        ...

    def document(self, key: str) -> Document | None:
        """The document of this key as it was indexed. Raises IndexBroken."""
        ...

    def frequencies(self, terms: Sequence[str]) -> Sequence[int]:
        """For each term about how many documents hold it: in the field where most do. Raises IndexBroken."""
        ...

    def vocabulary(self) -> Mapping[str, int]:
        """Every word of the documents as written (lower case), past questions left out, and about how many documents
        hold it. May take a second; never called for a question. Raises IndexBroken.
        """
        ...

    def warm(self) -> None:
        """Read what most questions need before they are asked. May take seconds, which nobody waits for; what is warm
        already is not read again. Raises IndexBroken.
        """
        ...

    def count(self) -> int:
        """How many documents the index holds."""
        ...

    @property
    def stamp(self) -> str:
        """Names this very index (another one after each ``finish``); empty when there is none."""
        ...

    @property
    def generation(self) -> int:
        """Grows by one with every commit."""
        ...

    def close(self) -> None: ...

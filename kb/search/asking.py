"""What the search page's address asks for, bounded whatever it holds: words, filters, how far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import urlencode

from compagnon.i18n import N_
from kb.search.model import MAX_LIMIT, MAX_QUERY_CHARACTERS, Filters, Reason
from kb.search.question import clean

FACETS = ("kind", "environment", "os", "skill", "locale", "state")
PER_PAGE = 10
DEEPEST = MAX_LIMIT // PER_PAGE
MAX_VALUES = 8  # of one facet
MAX_VALUE = 64  # characters
MAX_ADDRESS = 16_384  # bytes after the question mark; the longest question takes 3,072, percent-encoded
MAX_FIELDS = 200  # of an address; the rest is not read
TOO_MANY_FILTERS = N_("Only the first {limit} filters of each kind were used.")
TOO_DEEP = N_("Only the first {limit} results can be shown: please add a word or a filter.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One search. ``chosen`` holds the values of each facet that has some; ``page`` counts from 1.

    ``exact``: no correction of spelling. ``deep``: the page asked for is beyond what can be shown.
    """

    text: str = ""
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    page: int = 1
    exact: bool = False
    deep: bool = False
    notices: tuple[Reason, ...] = ()

    @property
    def limit(self) -> int:
        return self.page * PER_PAGE

    @property
    def kind(self) -> str:
        """The only kind that is asked for, or ""."""
        kinds = self.chosen.get("kind", ())
        return kinds[0] if len(kinds) == 1 else ""

    @property
    def filters(self) -> Filters:
        return Filters(
            kinds=self.chosen.get("kind", ()),
            environments=self.chosen.get("environment", ()),
            os=self.chosen.get("os", ()),
            skills=self.chosen.get("skill", ()),
            locales=self.chosen.get("locale", ()),
            states=self.chosen.get("state", ()),
        )

    @property
    def query(self) -> str:
        """The address after the question mark, without the page."""
        return self._query(self.chosen)

    @property
    def url(self) -> str:
        return f"/search?{self.query}"

    def has(self, facet: str, value: str) -> bool:
        return value in self.chosen.get(facet, ())

    def with_(self, facet: str, value: str) -> str:
        """The address with one more filter."""
        return f"/search?{self._query({**self.chosen, facet: (*self.chosen.get(facet, ()), value)})}"

    def without(self, facet: str, value: str = "") -> str:
        """The address without one filter, or without any of a facet; ``""`` for the facet: without any at all."""
        left = {name: values for name, values in self.chosen.items() if facet not in {name, ""}}
        if value:
            left[facet] = tuple(one for one in self.chosen.get(facet, ()) if one != value)
        return f"/search?{self._query(left)}"

    def only(self, kind: str) -> str:
        return f"/search?{self._query({**self.chosen, 'kind': (kind,)})}"

    def at(self, page: int) -> str:
        return f"{self.url}&{urlencode({'page': page})}"

    def about(self, text: str, *, exact: bool = False) -> str:
        """The address with other words and the same filters."""
        return f"/search?{self._query(self.chosen, text=text, exact=exact)}"

    def _query(self, chosen: Mapping[str, Sequence[str]], text: str | None = None, *, exact: bool = False) -> str:
        fields = [("q", self.text if text is None else text)]
        fields += [(name, value) for name in FACETS for value in chosen.get(name, ())]
        if exact or (self.exact and text is None):
            fields.append(("exact", "1"))
        return urlencode(fields)


def read(fields: Iterable[tuple[str, str]], *, limit: int = MAX_FIELDS) -> Asked:
    """Read an address. Takes anything; what is too much is left out with a notice, what is unknown is ignored."""
    values: dict[str, dict[str, None]] = {}
    for name, value in islice(fields, limit):
        if kept := clean(value) if name != "q" else value[: 4 * MAX_QUERY_CHARACTERS + 1]:
            values.setdefault(name, {})[kept] = None
    chosen = {name: tuple(value[:MAX_VALUE] for value in values[name]) for name in FACETS if name in values}
    too_many = any(len(found) > MAX_VALUES for found in chosen.values())
    page = _number(next(iter(values.get("page", {"1": None}))))
    return Asked(
        text=next(iter(values.get("q", {"": None}))),
        chosen={name: found[:MAX_VALUES] for name, found in chosen.items()},
        page=min(page, DEEPEST),
        exact="exact" in values,
        deep=page > DEEPEST,
        notices=(Reason(message=TOO_MANY_FILTERS, params={"limit": str(MAX_VALUES)}),) if too_many else (),
    )


def _number(raw: str) -> int:
    """A page's number; whatever is none is the first page."""
    if not (raw.isascii() and raw.isdigit()):
        return 1
    return max(1, int(raw[:9]))

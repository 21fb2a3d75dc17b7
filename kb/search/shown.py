"""What the results page shows beside the hits: facets, chosen filters, other ways to ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from compagnon.i18n import N_
from kb.search import analysis, words
from kb.search.asking import FACETS, Asked
from kb.search.model import Answer, Found, Group, Page
from kb.search.question import Question

_WORD = re.compile(r"[^\W_]+")
NAMED = frozenset({"client", "machine", "member"})
SINGLE_WORDS = 4  # words offered one by one when nothing was found
Kinds = Mapping[str, tuple[str, str]]
"""Label (a msgid) and icon of every kind that can be searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value of a facet. ``count`` None: not known."""

    facet: str
    value: str
    label: str
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """What can still be chosen of a facet, the most frequent first. ``label`` is a msgid."""

    name: str
    label: str
    values: Sequence[Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Another question that may find something. ``label`` is a msgid whose ``{words}`` is ``words``."""

    label: str
    words: str
    url: str
    icon: str = "search"


def chosen(asked: Asked, kinds: Kinds) -> list[Value]:
    """The filters that are on, in the order of the facets; also those that no document has."""
    return [
        Value(facet=name, value=value, label=words.value_label(name, value, kinds))
        for name in FACETS
        for value in asked.chosen.get(name, ())
    ]


def facets(asked: Asked, found: Page, kinds: Kinds) -> list[Facet]:
    """The values that would narrow what was found: one that all of it has, or that is chosen, is left out."""
    total = found.library.total
    shown = []
    for name in FACETS:
        counted = getattr(found.library.facets, name)
        values = [
            Value(facet=name, value=value, label=words.value_label(name, value, kinds), count=count)
            for value, count in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
            if not asked.has(name, value) and (count < total or (name == "kind" and found.records))
        ]
        if values:
            shown.append(Facet(name=name, label=words.FACET_LABELS[name], values=values))
    return shown


def named(question: Question, group: Group) -> bool:
    """Whether the question names one of these: a title holds every word, the last one perhaps unfinished.

    Only of what has a name of its own, and of a ticket by its number: such a group is shown before the library.
    """
    sought = [analysis.fold(word.text) for word in question.words if word.inside < 0 and word.text]
    by_name = group.kind in NAMED or (group.kind == "ticket" and question.text.lstrip("#").isdigit())
    return by_name and bool(sought) and any(_names(sought, hit.title) for hit in group.hits)


def settled(question: Question, found: Page) -> Page:
    """A name that the library does not know is no spelling mistake: its guess is offered, not shown."""
    corrected = found.library.corrected
    if not (corrected and corrected.automatic and any(named(question, group) for group in found.records)):
        return found
    return replace(found, library=Found(corrected=replace(corrected, automatic=False)))


def typed_groups(question: Question, answer: Answer, in_library: Callable[[str], bool]) -> list[Group]:
    """The groups while someone types: what is named comes first, and then no guess of the library beside it."""
    first = [group for group in answer.groups if named(question, group)]
    guessed = bool(first and answer.corrected and answer.corrected.automatic)
    others = [group for group in answer.groups if group not in first and not (guessed and in_library(group.kind))]
    return [*first, *others]


def _names(sought: Sequence[str], title: str) -> bool:
    held = set(_WORD.findall(analysis.fold(title)))
    return set(sought[:-1]) <= held and any(word.startswith(sought[-1]) for word in held)


def fallbacks(question: Question, asked: Asked) -> list[Fallback]:
    """What to try when nothing was found: without filters, without quotes, then each word by itself."""
    found = []
    if asked.chosen:
        label, icon = N_("Search everything for “{words}”"), "filter-off"
        found.append(Fallback(label=label, words=question.text, url=asked.without(""), icon=icon))
    if question.phrases:
        loose = " ".join(question.text.translate(str.maketrans('«»“”"', "     ")).split())
        label = N_("Search the words in any order: “{words}”")
        found.append(Fallback(label=label, words=loose, url=_wide(asked, loose)))
    return [*found, *_single_words(question, asked, N_("Search only “{words}”"))]


def _single_words(question: Question, asked: Asked, label: str) -> Sequence[Fallback]:
    kept = [word.text for word in question.words if not word.stop and word.inside < 0 and len(word.text) > 2]
    single = sorted(dict.fromkeys(kept), key=len, reverse=True)[:SINGLE_WORDS] if len(kept) > 1 else []
    return [Fallback(label=label, words=word, url=_wide(asked, word)) for word in single]


def _wide(asked: Asked, text: str) -> str:
    return replace(asked, chosen={}).about(text)

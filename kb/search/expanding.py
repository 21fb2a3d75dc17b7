"""Synonyms: a word of the question also stands for the others of its group, for less than it is worth itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kb.search.analysis import LOCALES
from kb.search.model import SynonymGroup
from kb.search.question import Question, Term, Word, sequence

WEIGHT = 0.6  # of what the word itself is worth
MAX_GROUPS = 2_000  # that the search reads; members cannot propose more
MAX_MEMBERS = 20  # of one group
MAX_ADDED = 8  # terms for one word


@dataclass(frozen=True, slots=True)
class Expression:
    """A member of a group, read in one language."""

    group: int
    text: str
    locale: str
    terms: tuple[str, ...]


class Thesaurus:
    """The groups, ready to be looked up. Made once for each state of the list."""

    def __init__(self, groups: Sequence[SynonymGroup] = ()) -> None:
        self.groups = groups
        self._members: list[list[Expression]] = []
        self._beginning: dict[tuple[str, str], list[Expression]] = {}
        for number, group in enumerate(groups[:MAX_GROUPS]):
            members = list(_readings(number, group))
            self._members.append(members)
            for member in members:
                self._beginning.setdefault((member.locale, member.terms[0]), []).append(member)

    def expand(self, question: Question) -> Question:
        """The question with the synonyms of its words; the very same when there are none."""
        added: dict[int, dict[Term, None]] = {}
        for locale in LOCALES if self._beginning else ():
            kept = [(index, text) for index, word in enumerate(question.words) if (text := _read(word, locale))]
            for indexes, expression in self._found(kept, locale):
                for term in self._others(expression, WEIGHT / len(indexes)):
                    for index in indexes:
                        added.setdefault(index, {})[term] = None
        if not added:
            return question
        return replace(question, words=tuple(_with(word, added.get(at)) for at, word in enumerate(question.words)))

    def _found(self, kept: Sequence[tuple[int, str]], locale: str) -> Iterator[tuple[tuple[int, ...], Expression]]:
        """Where an expression stands in the question, as the indexes of its words."""
        for start, (_, text) in enumerate(kept):
            for expression in self._beginning.get((locale, text), ()):
                window = kept[start : start + len(expression.terms)]
                if tuple(each for _, each in window) == expression.terms:
                    yield tuple(index for index, _ in window), expression

    def _others(self, expression: Expression, weight: float) -> Iterator[Term]:
        for other in self._members[expression.group]:
            if other.text != expression.text:
                origin = (expression.text, other.text)
                yield Term(other.terms[0], other.locale, weight, then=other.terms[1:], origin=origin)


def _readings(number: int, group: SynonymGroup) -> Iterator[Expression]:
    """A group of one language is not read in the other: "pain" is bread in French only."""
    for text in group.words[:MAX_MEMBERS]:
        for locale in (group.locale,) if group.locale else LOCALES:
            if terms := sequence(text[:100], locale):
                yield Expression(number, text, locale, terms)


def _read(word: Word, locale: str) -> str:
    """The term of the word in this language; empty for stop words, whole identifiers, and what must be exact."""
    if word.whole or word.fields:
        return ""
    readings = (term for term in word.terms if term.locale in {"", locale} and not term.prefix and not term.origin)
    first = next(readings, None)
    return first.text if first and not first.stop else ""


def _with(word: Word, added: dict[Term, None] | None) -> Word:
    new = [term for term in added or () if term.then or term.text not in {known.text for known in word.terms}]
    return replace(word, terms=(*word.terms, *new[:MAX_ADDED])) if new else word

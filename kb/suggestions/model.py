"""A suggestion as every page shows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from kb.search.analysis import fold
from kb.search.error_text import ErrorText
from kb.search.hits import MEANT, WORDS
from kb.search.model import Hit

PROCEDURE, ARTICLE = "procedure", "article"
_MARKDOWN = re.compile(r"([\\\[\]`*_<>])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A document of the library. ``workaround`` is plain text; only a known error has one."""

    hit: Hit
    workaround: str = ""

    @property
    def known_error(self) -> bool:
        return self.hit.state == "known-error"

    @property
    def words(self) -> Sequence[str]:
        """The words of the question that it holds, by themselves or by a synonym, as many as are shown."""
        held = [reason.params["words"].split(", ") for reason in self.hit.why if reason.message == WORDS]
        meant = [reason.params["asked"] for reason in self.hit.why if reason.message == MEANT]
        return (*(word for words in held for word in words), *meant)

    @property
    def procedure(self) -> str:
        """The code of a procedure that can be followed; empty for anything else."""
        if self.hit.kind != PROCEDURE:
            return ""
        code, _, _ = self.hit.id.rpartition(".")
        return code or self.hit.id

    @property
    def markdown(self) -> str:
        """A link for a message."""
        title = _MARKDOWN.sub(r"\\\1", self.hit.title)
        return f"[{title}]({self.hit.url})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """Procedures first, because they can be followed; then articles."""

    procedures: Sequence[Suggestion] = field(default_factory=tuple)
    articles: Sequence[Suggestion] = field(default_factory=tuple)

    @property
    def items(self) -> Sequence[Suggestion]:
        return (*self.procedures, *self.articles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where suggestions are shown: what links to procedures take along, and what can be done with a suggestion.

    ``start``: procedures are started from here; ``insert``: id of the field that links are put into; ``brief``: without
    the sentence that was found.
    """

    ticket: int | None = None
    machine: int | None = None
    start: bool = False
    insert: str = ""
    brief: bool = False

    @property
    def query(self) -> str:
        """``ticket=12&machine=3``, or nothing."""
        return urlencode({name: value for name, value in (("ticket", self.ticket), ("machine", self.machine)) if value})

    def link(self, item: Suggestion) -> str:
        """The document's address: a procedure is read for ticket and machine, an article is judged for the ticket."""
        ticket = replace(self, machine=None).query if item.hit.kind == ARTICLE else ""
        query = self.query if item.procedure else ticket
        return f"{item.hit.url}{'&' if '?' in item.hit.url else '?'}{query}" if query else item.hit.url


@dataclass(frozen=True, slots=True, kw_only=True)
class ForError:
    """What was read in an error, and what the library has about it."""

    asked: ErrorText
    found: Suggestions


def about(error: ErrorText, item: Suggestion) -> bool:
    """Whether a document says more of an error than one common word: it holds a code or a name, or two words of it."""
    if len(item.words) >= min(2, len(error.question.split()) - 1):
        return bool(item.words)
    telling = {fold(text).strip("/") for text in (*error.codes, *error.names, *error.quoted)}
    return any(fold(word).strip("/") in telling for word in item.words)

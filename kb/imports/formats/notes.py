"""A co-op's own notes: any folder of Markdown files, with headings in French or English."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from compagnon.i18n import N_
from kb.imports.formats import admonitions, base, front, headings, hints, links, markup
from kb.imports.model import Defaults, ParsedArticle, Skipped, SkipReason, SourceFile

CONDITION = re.compile(
    r"^(?:sympt[oô]mes?|condition|probl[eè]me|problem|symptoms?|constat|observation|issue|contexte|context|"
    r"introduction|description)\b",
    re.IGNORECASE,
)
CAUSE = re.compile(r"^(?:causes?|origine|explication|diagnostic|diagnosis|root cause|reason|raison)\b", re.IGNORECASE)
REMEDY = re.compile(
    r"^(?:solutions?|rem[eè]des?|remedy|r[eé]solution|r[eé]paration|correctif|correction|fix|mitigation|workaround|"
    r"contournement|marche à suivre|proc[eé]dure|steps|[eé]tapes)\b",
    re.IGNORECASE,
)
INDEX = re.compile(r"^(?:readme|index|_index|sommaire|contributing|changelog)(?:\.[a-z]{2})?\.(?:md|markdown)$", re.I)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")
LEGAL = re.compile(r"^(?:licen[sc]e|copying)\b", re.IGNORECASE)


class Notes:
    name = "notes"
    label = N_("Your own notes (Markdown)")
    licence = ""
    ending = ".md"

    def recognises(self, files: Sequence[SourceFile]) -> bool:
        return bool(base.documents(files, self.ending))

    def parse(self, file: SourceFile, defaults: Defaults) -> ParsedArticle | Skipped:
        if INDEX.match(file.name) or LEGAL.match(file.name):
            return base.skipped(file, SkipReason.INDEX if INDEX.match(file.name) else SkipReason.LEGAL)
        try:
            head, text = front.split(file.text)
        except front.FrontMatterError as error:
            return base.skipped(file, SkipReason.FRONT_MATTER, str(error))
        locale = defaults.locale or front.word(head, "locale", "lang", "language")[:2].lower() or "fr"
        parts = headings.sections(_plain(text, locale, file.path))
        title, rest = _title(parts, front.word(head, "title", "titre"))
        condition, cause, remedy = divided(rest)
        if not title or not (condition or cause or remedy):
            return base.skipped(file, SkipReason.EMPTY if title else SkipReason.NO_TITLE)
        return ParsedArticle(
            path=file.path,
            title=title,
            locale=locale,
            condition=condition if remedy else "",
            cause=cause if remedy else "",
            remedy=remedy or "\n\n".join(filter(None, (condition, cause))),
            error_codes=hints.error_codes(title, condition, cause, remedy),
            applies_to=front.words(head, "applies_to"),
            os=tuple(dict.fromkeys((*front.words(head, "os"), *hints.systems(title)))),
            skills=front.words(head, "skills"),
            licence=front.word(head, "licence", "license") or defaults.licence,
            authors=front.words(head, "author", "authors", "auteur", "auteurs"),
            address=_address(front.word(head, "url", "source", "address")),
            updated=_day(front.word(head, "updated", "date")),
        )


def _plain(text: str, locale: str, path: str) -> str:
    text = admonitions.mkdocs(admonitions.microsoft(markup.microsoft(text), locale), locale)
    return links.resolve(markup.plain(text), lambda address: links.neighbour(path, address, ".md"))


def _title(parts: Sequence[headings.Section], given: str) -> tuple[str, Sequence[headings.Section]]:
    """The first heading, which is not repeated in the text; without any the header's title."""
    for at, part in enumerate(parts):
        if part.level and not (CONDITION.match(part.title) or CAUSE.match(part.title) or REMEDY.match(part.title)):
            title = base.short(headings.plain(part.title))
            return title, [*parts[:at], replace(part, level=0, title=""), *parts[at + 1 :]]
        if part.level:
            break
    return base.short(given), parts


def divided(parts: Sequence[headings.Section]) -> tuple[str, str, str]:
    """Condition, cause and remedy by their headings; a heading of another name stays with the part before it.

    A text without any known heading: what stands before its first step is the condition, the rest the remedy.
    """
    if not any(_part(part.title) for part in parts if part.level):
        opening, rest = "\n\n".join(part.body for part in parts if not part.level and part.body), ""
        rest = headings.joined([part for part in parts if part.level])
        condition, steps = base.lead(opening)
        if rest and not condition:
            return steps, "", rest
        return condition, "", "\n\n".join(filter(None, (steps, rest)))
    found: dict[str, list[headings.Section]] = {"condition": [], "cause": [], "remedy": []}
    current, level = "condition", 6
    for part in parts:
        name = _part(part.title) if part.level and part.level <= level else ""
        current, level = (name, part.level) if name else (current, level)
        found[current].append(replace(part, level=0, title="") if name else part)
    return headings.joined(found["condition"]), headings.joined(found["cause"]), headings.joined(found["remedy"])


def _part(title: str) -> str:
    title = headings.plain(title)
    known = (("condition", CONDITION), ("cause", CAUSE), ("remedy", REMEDY))
    return next((name for name, expression in known if expression.match(title)), "")


def _address(text: str) -> str:
    return links.safe(text) if text.startswith(("http://", "https://")) else ""


def _day(text: str) -> str:
    return text[:10] if DAY.match(text) else ""

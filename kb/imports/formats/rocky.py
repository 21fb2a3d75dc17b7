"""Guides of Rocky Linux: Markdown of MkDocs with a header, notes, tabs and shell blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from compagnon.i18n import N_
from kb.imports.formats import admonitions, base, front, headings, hints, links, markup
from kb.imports.model import Defaults, ParsedArticle, Skipped, SkipReason, SourceFile

SITE = "https://docs.rockylinux.org/"
OPENING = re.compile(
    r"^(?:introduction|présentation|aperçu|vue d.ensemble|généralités|overview|preface|préface)\b", re.I
)
INDEX = re.compile(r"(?:^|[_/-])(?:index|readme)(?:\.[a-z]{2})?\.md$", re.IGNORECASE)
LOCALE = re.compile(r"\.([a-z]{2})\.md$")
INDEX_LIMIT = 3_000  # bytes; a longer "index" is a guide that has a folder of its own


class Rocky:
    name = "rocky"
    label = N_("Rocky Linux guides (MkDocs)")
    licence = "CC BY-SA 4.0"
    ending = ".md"
    _mark = re.compile(r"\A---\n.*?^(?:author|contributors|tested_with|tags):.*?^---$", re.MULTILINE | re.DOTALL)
    _rocky = re.compile(r"rocky", re.IGNORECASE)

    def recognises(self, files: Sequence[SourceFile]) -> bool:
        documents = base.documents(files, self.ending)
        return base.share(documents, self._mark) > 0.5 and base.share(documents, self._rocky) > 0.5

    def parse(self, file: SourceFile, defaults: Defaults) -> ParsedArticle | Skipped:
        try:
            head, text = front.split(file.text)
        except front.FrontMatterError as error:
            return base.skipped(file, SkipReason.FRONT_MATTER, str(error))
        reason = _no_guide(file, text)
        if reason:
            return base.skipped(file, reason)
        suffix = LOCALE.search(file.path)
        locale = defaults.locale or (suffix[1] if suffix else "en")
        parts = headings.sections(_plain(text, locale))
        heading = headings.plain(_title(parts))
        title = base.short(headings.plain(front.word(head, "title")) or heading)
        condition, remedy = _condition_and_remedy(parts)
        if heading not in ("", title) and not OPENING.match(heading):  # the page's own heading says more, or else
            condition = "\n\n".join(filter(None, (f"**{heading}**", condition)))
        if not title or not remedy:
            return base.skipped(file, SkipReason.EMPTY if title else SkipReason.NO_TITLE)
        return ParsedArticle(
            path=file.path,
            title=title,
            locale=locale,
            condition=condition,
            remedy=remedy,
            error_codes=hints.error_codes(title, condition, remedy),
            os=("linux",),
            licence=defaults.licence or self.licence,
            authors=front.words(head, "author", "authors", "contributors"),
            address=SITE,
        )


def _no_guide(file: SourceFile, text: str) -> SkipReason | None:
    if file.name.upper().startswith(("LICENSE", "LICENCE")):
        return SkipReason.LEGAL
    if INDEX.search(file.path) and len(text.encode()) < INDEX_LIMIT:
        return SkipReason.INDEX
    return None if text.strip() else SkipReason.EMPTY


def _plain(text: str, locale: str) -> str:
    """Links to other guides stay as words: the folder does not say where they stand on the site."""
    return links.resolve(markup.plain(admonitions.mkdocs(text, locale)), lambda address: address)


def _title(parts: Sequence[headings.Section]) -> str:
    return next((part.title for part in parts if part.level == 1), "")


def _condition_and_remedy(parts: Sequence[headings.Section]) -> tuple[str, str]:
    """The opening, with an introduction of its own heading, says what it is about; everything else is what to do."""
    opening, rest = [], list(parts)
    titled = False
    while rest and (not rest[0].level or (rest[0].level == 1 and not titled) or OPENING.match(rest[0].title)):
        titled = titled or rest[0].level == 1
        opening.append(rest.pop(0))
    condition = "\n\n".join(part.body for part in opening if part.body)
    remedy = headings.joined(rest)
    return (condition, remedy) if remedy else ("", condition)

"""Microsoft's support answers ("Alchemy Insights"): Markdown with the header and the signs of Microsoft Docs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from compagnon.i18n import N_
from kb.imports.formats import admonitions, base, front, headings, hints, links, markup
from kb.imports.model import Defaults, ParsedArticle, Skipped, SkipReason, SourceFile

# The answers link to each other with this address.
SITE = "https://docs.microsoft.com/alchemyinsights/"


class Alchemy:
    name = "alchemy"
    label = N_("Microsoft Docs (Alchemy Insights)")
    licence = "CC BY 4.0"
    ending = ".md"
    _mark = re.compile(r"\A---\n(?:.*\n)*?ms\.(?:author|topic|service|locfileid):", re.MULTILINE)

    def recognises(self, files: Sequence[SourceFile]) -> bool:
        return base.share(base.documents(files, self.ending), self._mark) > 0.5

    def parse(self, file: SourceFile, defaults: Defaults) -> ParsedArticle | Skipped:
        try:
            head, text = front.split(file.text)
        except front.FrontMatterError as error:
            return base.skipped(file, SkipReason.FRONT_MATTER, str(error))
        locale = defaults.locale or front.word(head, "ms.contentlocale", "locale")[:2].lower() or "en"
        address = SITE + quote(file.name.removesuffix(self.ending))
        parts = headings.sections(_plain(text, locale, address))
        first = next((part.title for part in parts if part.level == 1), "")
        title = base.short(headings.plain(first) or front.word(head, "title"))
        condition, remedy = _condition_and_remedy(parts)
        if not title or not remedy:
            return base.skipped(file, SkipReason.EMPTY if title else SkipReason.NO_TITLE)
        return ParsedArticle(
            path=file.path,
            title=title,
            locale=locale,
            condition=condition,
            remedy=remedy,
            error_codes=hints.error_codes(title, condition, remedy),
            os=hints.systems(title),
            licence=defaults.licence or self.licence,
            authors=("Microsoft",),
            address=address,
            updated=_date(front.word(head, "ms.date", "ms.lasthandoff")),
        )


def _plain(text: str, locale: str, address: str) -> str:
    text = markup.plain(markup.microsoft(text))
    return links.resolve(admonitions.microsoft(text, locale), _target(address))


def _target(base_address: str) -> links.Target:
    """``/microsoft-365/…`` is a path of the site, ``other.md`` another answer of the collection."""
    whole = links.whole(base_address)

    def target(address: str) -> str:
        if re.fullmatch(r"(?:\./)?[\w.-]+\.md(?:#.*)?", address):
            return f"article:{address.removeprefix('./').partition('#')[0]}"
        return whole(address)

    return target


def _condition_and_remedy(parts: Sequence[headings.Section]) -> tuple[str, str]:
    """The first heading is the title; the text up to the first step or further heading says what is observed."""
    rest = [part for part in parts if part.level != 1]
    opening = "\n\n".join(part.body for part in parts if part.level <= 1 and part.body)
    condition, steps = base.lead(opening)
    further = headings.joined([part for part in rest if part.level > 1])
    if not condition and further:
        return steps, further
    return condition, "\n\n".join(filter(None, (steps, further)))


def _date(text: str) -> str:
    """``09/15/2020`` as an ISO date."""
    try:
        return datetime.strptime(text, "%m/%d/%Y").date().isoformat()
    except ValueError:
        return ""

"""What an import will do with what was read: which format, under which licence, which articles. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from compagnon.errors import Invalid
from compagnon.i18n import N_
from kb.articles.model import LOCALES, Content, ImportedArticle, Solution, digest
from kb.imports.formats import FORMATS, detect, links, read_all
from kb.imports.formats.base import Format
from kb.imports.model import (
    EXPECTED,
    LICENCE_LIMIT,
    NAME_LIMIT,
    Defaults,
    Order,
    ParsedArticle,
    Skipped,
    Source,
)
from kb.imports.reading import Reading

NOTHING = N_("There is nothing to import here: no Markdown or Mallard document was found.")
NONE_FIT = N_("None of the {count} documents fits the format {format}. Choose another format, or let it be found.")
NO_LICENCE = N_(
    "Please say under which licence these documents may be used; for your own notes, name the co-operative."
)
UNKNOWN_FORMAT = N_("There is no format {format}. Known: {known}.")
LANGUAGE = N_("The language must be fr or en.")
AUTHORS = 60  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``locale`` "" means: as each document says."""

    format: Format
    locale: str
    licence: str
    articles: Sequence[ParsedArticle]
    skipped: Sequence[Skipped]

    @property
    def kept(self) -> dict[str, str]:
        """What the source remembers for its next import."""
        return {"format": self.format.name, "locale": self.locale, "licence": self.licence}

    @property
    def kept_paths(self) -> frozenset[str]:
        """Documents that are still at the source, also those that could not be read this time."""
        faulty = {one.path for one in self.skipped if one.reason not in EXPECTED}
        return frozenset(faulty | {article.path for article in self.articles})


def checked(order: Order, known: Source | None) -> Order:
    """The order with what the source's last import said. Raises Invalid."""
    name = " ".join(order.name.split())
    if not name or len(name) > NAME_LIMIT:
        raise Invalid(
            N_("Please give the source a name of {limit} characters at most."), field="name", limit=NAME_LIMIT
        )
    if order.format and order.format not in FORMATS:
        raise Invalid(UNKNOWN_FORMAT, field="format", format=order.format[:40], known=", ".join(FORMATS))
    if order.locale and order.locale not in LOCALES:
        raise Invalid(LANGUAGE, field="locale")
    if len(order.licence) > LICENCE_LIMIT:
        raise Invalid(N_("This is too long: {limit} characters at most."), field="licence", limit=LICENCE_LIMIT)
    order = replace(order, name=name, licence=" ".join(order.licence.split()))
    if known is None:
        return order
    return replace(
        order,
        format=order.format or known.format,
        locale=order.locale or known.locale,
        licence=order.licence or known.licence,
    )


def planned(reading: Reading, order: Order) -> Plan:
    """Parse everything. Raises Invalid when there is nothing to import, or no licence is known."""
    found = FORMATS[order.format] if order.format else detect(reading.files)
    if not reading.files or found is None:
        raise Invalid(NOTHING, field="file")
    licence = order.licence or found.licence
    if not licence:
        raise Invalid(NO_LICENCE, field="licence")
    parsed = read_all(reading.files, found, Defaults(locale=order.locale, licence=licence))
    if not parsed.articles:
        raise Invalid(NONE_FIT, field="format", count=len(reading.files), format=found.name)
    skipped = (*reading.skipped, *parsed.skipped)
    return Plan(format=found, locale=order.locale, licence=licence, articles=parsed.articles, skipped=skipped)


def article(parsed: ParsedArticle, source: Source, known: Collection[str]) -> ImportedArticle:
    """A parsed document as the knowledge base takes it; ``known`` are the paths that links may lead to."""
    content = Content(
        title=parsed.title,
        condition=linked(parsed.condition, source.id, known),
        solutions=(
            Solution(cause=linked(parsed.cause, source.id, known), remedy=linked(parsed.remedy, source.id, known)),
        ),
        error_codes=parsed.error_codes,
        applies_to=parsed.applies_to,
        os=parsed.os,
        skills=parsed.skills,
        licence=parsed.licence or source.licence,
        source_name=_name(source.name, parsed),
        source_url=parsed.address,
    )
    said = f"{parsed.locale}:{digest(content)}"
    return ImportedArticle(
        source=source.name, source_id=parsed.path, digest=said, locale=parsed.locale, content=content
    )


def linked(text: str, source_id: int, known: Collection[str]) -> str:
    """Links between documents of one source lead to the articles made of them; to others they become plain text."""
    if "(article:" not in text:
        return text

    def target(address: str) -> str:
        if not address.startswith("article:"):
            return address
        path = unquote(address.removeprefix("article:"))
        return f"/articles/sources/{source_id}/document?path={quote(path)}" if path in known else ""

    return links.resolve(text, target)


def _name(source: str, parsed: ParsedArticle) -> str:
    """The collection, who wrote the document, as licences ask, and when it was last looked at there."""
    authors = ", ".join(parsed.authors)
    if len(authors) > AUTHORS:
        authors = authors[: AUTHORS - 1].rstrip(", ") + "…"
    return " — ".join(filter(None, (source, authors, parsed.updated)))

"""GNOME's help: Mallard 1.0 pages (projectmallard.org). Only the pages that treat a problem are taken."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from compagnon.i18n import N_
from kb.imports.formats import base, hints
from kb.imports.formats.mallard_text import Writer
from kb.imports.formats.xmltree import Node, XmlError, parse
from kb.imports.model import Defaults, ParsedArticle, Skipped, SkipReason, SourceFile

PROBLEM = re.compile(r"(?:^|[-#])(?:problems?|troubleshooting)(?:$|[-#])")
NAMESPACE = "http://projectmallard.org/1.0/"
SITE = "https://help.gnome.org/"


class Mallard:
    name = "mallard"
    label = N_("GNOME help (Mallard, problem pages)")
    licence = "CC BY-SA 3.0"
    ending = ".page"

    def recognises(self, files: Sequence[SourceFile]) -> bool:
        pages = base.documents(files, self.ending)
        return any(NAMESPACE in file.text for file in pages) and len(pages) * 2 > len(files)

    def titles(self, files: Sequence[SourceFile]) -> Mapping[str, str]:
        """The title of each page by its id: a link without words shows the title of where it leads."""
        found: dict[str, str] = {}
        for file in files:
            page = _page(file)
            if isinstance(page, Node):
                found[page.get("id")] = _line(page.first("title"))
        return found

    def parse(self, file: SourceFile, defaults: Defaults) -> ParsedArticle | Skipped:
        page = _page(file)
        if isinstance(page, Skipped):
            return page
        if page.get("type") == "guide":
            return base.skipped(file, SkipReason.INDEX)
        info = page.first("info") or Node("info", {})
        if not _treats_a_problem(page, info):
            return base.skipped(file, SkipReason.NOT_A_PROBLEM)
        writer = Writer(defaults.titles)
        condition, remedy = writer.opening(page)
        title = _title(page)
        if not title or not remedy:
            return base.skipped(file, SkipReason.EMPTY if title else SkipReason.NO_TITLE)
        return ParsedArticle(
            path=file.path,
            title=title,
            locale=defaults.locale or page.get("lang")[:2].lower() or "en",
            condition=condition,
            remedy=remedy,
            error_codes=hints.error_codes(title, condition, remedy),
            os=("linux",),
            licence=defaults.licence or self.licence,
            authors=tuple(dict.fromkeys(filter(None, map(_credited, info.all("credit"))))),
            address=SITE,
            updated=max((revision.get("date") for revision in info.all("revision")), default=""),
        )


def _page(file: SourceFile) -> Node | Skipped:
    try:
        page = parse(file.text)
    except XmlError as error:
        return base.skipped(file, SkipReason.XML, str(error))
    if page.name != "page" or NAMESPACE.rstrip("/") not in page.tag:
        return base.skipped(file, SkipReason.XML, "not a Mallard page")
    return page


def _treats_a_problem(page: Node, info: Node) -> bool:
    """It says so itself, its name does, or a list of problems leads to it."""
    guides = [link.get("xref") for link in info.all("link") if link.get("type") == "guide"]
    return "problem" in page.get("style").split() or any(map(PROBLEM.search, [page.get("id"), *guides]))


def _title(page: Node) -> str:
    """With the subtitle, which tells the steps of one guide apart."""
    parts = (_line(page.first("title")), _line(page.first("subtitle")))
    return base.short(" — ".join(filter(None, parts)))


def _credited(credit: Node) -> str:
    """Authors and translators by name; addresses are left out."""
    return _line(credit.first("name"))


def _line(node: Node | None) -> str:
    return " ".join(node.text.split()) if node else ""

"""How procedures and articles know of each other: a procedure made from an article, one that names it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import yaml

from compagnon.auth.model import Member
from compagnon.db import Connection
from kb.articles.model import Content, Link
from procedures.library import texts
from procedures.library.model import Summary, Version

TITLE = 120  # characters of a step's title; more stays in its body
_ITEM = re.compile(r" {0,3}(?:[0-9]{1,3}[.)]|[-*+])[ \t]+(?P<said>.*)")
_FENCE = re.compile(r" {0,6}(?:```|~~~)")
_OPENED = re.compile(r" {0,3}(?P<mark>`{3,}|~{3,})(?P<more>.*)")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]+(?P<words>.*))?")
_MARKS = re.compile(r"[{}\[\]#`*_<>|]+")


class ArticleLinks(Protocol):
    """What the library needs of the articles (``kb.articles.service.Articles``)."""

    async def tie(self, article_id: int, link: Link, member: Member, *, conn: Connection) -> None: ...

    async def mentions(
        self, conn: Connection, kind: str, ref: str, *, text: str, label: str, url: str, replace: bool = False
    ) -> None: ...


def made(version: Summary) -> Link:
    """The link to a draft made from an article; its address leads to the procedure once that is in force."""
    label = version.title
    return Link(kind="procedure", ref=version.code, why="procedure", label=label, url=f"/reviews/{version.id}")


async def note_mentions(articles: ArticleLinks, conn: Connection, version: Version) -> None:
    """Note which articles the text that comes into force names."""
    ref, url = f"{version.code}.{version.locale}", f"/procedures/{version.code}?lang={version.locale}"
    await articles.mentions(conn, "procedure", ref, text=version.text, label=version.title, url=url, replace=True)


def drafted(content: Content, locale: str) -> str:
    """The beginning of a procedure from an article: its condition as context, each item of its remedies as a step.

    Only the article's own words; what is still to be said (the expected result of each step) lint asks for.
    """
    begun = texts.skeleton(None, locale, content.title)
    front, _, rest = begun.removeprefix("---\n").partition("---\n")
    head = yaml.safe_load(front) | {"applies_to": list(content.applies_to), "perskill": list(content.skills)}
    heading = next(line for line in rest.splitlines() if line.startswith("## "))
    ending = rest[rest.index("\n## ", rest.index(heading)) :]
    remedies = [solution.remedy for solution in content.solutions if solution.remedy] or [content.workaround]
    steps = [step for remedy in remedies for step in steps_of(remedy)]
    body = "\n".join(_step(number, said) for number, said in enumerate(steps, 1))
    kept = yaml.safe_dump({key: value for key, value in head.items() if value}, allow_unicode=True, sort_keys=False)
    return f"---\n{kept}---\n{_flat(content.condition)}\n\n{heading}\n\n{body}{ending}"


def steps_of(remedy: str) -> list[list[str]]:
    """The items of a remedy's lists, each with the lines that belong to it; without a list, its paragraphs."""
    found: list[list[str]] = []
    listed = any(_ITEM.fullmatch(line) for line in _outside_code(remedy))
    begins = True
    fenced = False
    for line in remedy.splitlines():
        item = None if fenced else _ITEM.fullmatch(line)
        fenced ^= bool(_FENCE.match(line))
        if item or not found or (begins and not listed and line.strip()):
            found.append([])
        found[-1].append(item["said"] if item else line)
        begins = not line.strip() and not fenced
    return [step for step in found if any(line.strip() for line in step)]


def _outside_code(text: str) -> Iterator[str]:
    fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield line


def _step(number: int, said: list[str]) -> str:
    first, *rest = said
    title = " ".join(_MARKS.sub(" ", first).split()).rstrip(".:") or "…"
    cut = title if len(title) <= TITLE else title[:TITLE].rpartition(" ")[0] or title[:TITLE]
    lines = rest if cut == title else [first, *rest]
    body = "\n".join(line.removeprefix("   ") for line in lines).strip()
    return f"### s{number}: {cut} {{importance=required}}\n" + (f"\n{_flat(body)}\n" if body else "")


def _flat(text: str) -> str:
    """Headings would begin a section of the procedure: they become bold. Code stays, and ends where its step ends."""
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = _OPENED.match(line)
        if fence:
            fence = "" if mark and mark["mark"].startswith(fence) and not mark["more"].strip() else fence
        elif mark:
            fence = mark["mark"]
        lines.append(line if fence or mark else _plain(line))
    return "\n".join([*lines, fence] if fence else lines)


def _plain(line: str) -> str:
    heading = _HEADING.fullmatch(line)
    if not heading:
        return line
    words = (heading["words"] or "").strip("# \t")
    return f"**{words}**" if words else ""

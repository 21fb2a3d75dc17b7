"""A Markdown text taken apart at its headings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kb.imports.formats.fences import lines_and_code

HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
UNDERLINE = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
PLAIN = re.compile(r"[*`]|(?<!\w)_|_(?!\w)")
DEEPEST, HIGHEST = 6, 4  # a page of ours has the levels above


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and the text up to the next heading of any level. The text before the first has level 0, no title."""

    level: int
    title: str
    body: str


def sections(text: str) -> tuple[Section, ...]:
    """All sections in order; joined again they are the text (underlined headings become ``#`` headings)."""
    found: list[Section] = []
    level, title, body = 0, "", list[str]()
    for line, code in lines_and_code(_without_underlines(text)):
        heading = None if code else HEADING.match(line)
        if heading is None:
            body.append(line)
            continue
        found.append(Section(level=level, title=title, body="\n".join(body).strip("\n")))
        level, title, body = len(heading[1]), heading[2].strip(), []
    found.append(Section(level=level, title=title, body="\n".join(body).strip("\n")))
    return tuple(found)


def _without_underlines(text: str) -> list[str]:
    """Headings that are underlined with === or --- written with # (CommonMark §4.3), one line each."""
    out: list[str] = []
    for line, code in list(lines_and_code(text.split("\n"))):
        rule = None if code or not out else UNDERLINE.match(line)
        if rule and _can_be_underlined(out):
            out[-1] = f"{'#' if rule[1][0] == '=' else '##'} {out[-1].strip()}"
            continue
        out.append(line)
    return out


def _can_be_underlined(lines: Sequence[str]) -> bool:
    line = lines[-1]
    before = lines[-2] if len(lines) > 1 else ""
    return bool(line.strip()) and line[:1] not in "#>|-*+ \t`~0123456789" and not before.strip()


def joined(parts: Sequence[Section]) -> str:
    """Sections as one text again, their headings moved to the levels that our pages leave to texts."""
    levels = [part.level for part in parts if part.level]
    shift = HIGHEST - min(levels) if levels else 0
    return tidy("\n\n".join(filter(None, (_one(part, shift) for part in parts))))


def tidy(text: str) -> str:
    """The text without empty lines that follow one another, code left as it is."""
    kept: list[str] = []
    for line, code in lines_and_code(text.split("\n")):
        if code or line.strip() or (kept and kept[-1].strip()):
            kept.append(line if code or line.strip() else "")
    return "\n".join(kept).strip("\n")


def _one(part: Section, shift: int) -> str:
    head = f"{'#' * min(part.level + shift, DEEPEST)} {part.title}" if part.level else ""
    return "\n\n".join(filter(None, (head, part.body.strip("\n"))))


def plain(title: str) -> str:
    """A heading's words without Markdown signs, on one line."""
    return " ".join(PLAIN.sub("", title).replace("\\", "").split())

"""What every format of a folder says about itself, and the steps that several share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from kb.imports.formats.fences import ITEM, lines_and_code
from kb.imports.formats.headings import HEADING
from kb.imports.model import TITLE_LIMIT, Defaults, ParsedArticle, Skipped, SkipReason, SourceFile

NUMBERED = re.compile(r"^ {0,3}[0-9]{1,9}[.)]\s")


class Format(Protocol):
    """One way in which a folder of documents is written."""

    name: str  # what ``--format`` takes
    label: str  # msgid
    licence: str  # of the collection it was made for; "" when it says nothing
    ending: str  # of the files that are documents

    def recognises(self, files: Sequence[SourceFile]) -> bool:
        """Whether some files of a folder, documents and others, are of this format."""
        ...

    def parse(self, file: SourceFile, defaults: Defaults) -> ParsedArticle | Skipped:
        """Read one document. Raises nothing for any text."""
        ...


def documents(files: Sequence[SourceFile], ending: str) -> list[SourceFile]:
    return [file for file in files if file.path.lower().endswith(ending)]


def share(files: Sequence[SourceFile], expression: re.Pattern[str]) -> float:
    """How many of the files hold the expression, 0..1."""
    return sum(bool(expression.search(file.text)) for file in files) / len(files) if files else 0.0


def skipped(file: SourceFile, reason: SkipReason, detail: str = "") -> Skipped:
    return Skipped(path=file.path, reason=reason, detail=detail[:200])


def short(title: str) -> str:
    """A title that fits."""
    title = " ".join(title.split())
    return title if len(title) <= TITLE_LIMIT else title[: TITLE_LIMIT - 1].rstrip() + "…"


def lead(text: str) -> tuple[str, str]:
    """What stands before the first numbered step or heading, and the rest.

    The sentence that announces the steps (it ends with a colon) goes with them.
    """
    lines = text.strip().split("\n")
    at = _first_step(lines)
    if at is None:
        return "", "\n".join(lines)
    begin = _begin_of_paragraph(lines, at)
    if "".join(lines[begin:at]).rstrip(" *_").endswith(":") and not ITEM.match(lines[begin]):
        at = begin
    return "\n".join(lines[:at]).strip(), "\n".join(lines[at:]).strip()


def _begin_of_paragraph(lines: Sequence[str], at: int) -> int:
    """Where the last paragraph before line ``at`` begins; ``at`` when there is none."""
    end = at
    while end and not lines[end - 1].strip():
        end -= 1
    begin = end
    while begin and lines[begin - 1].strip():
        begin -= 1
    return begin


def _first_step(lines: Sequence[str]) -> int | None:
    for at, (line, code) in enumerate(lines_and_code(lines)):
        if not code and (NUMBERED.match(line) or HEADING.match(line)):
            return at
    return None

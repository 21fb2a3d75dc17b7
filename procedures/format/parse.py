"""Text → ``Procedure``.

``read`` takes any text and gives what it understood with every problem; ``parse`` gives a whole procedure or raises.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from compagnon.i18n import N_
from procedures.format import desktop, entries, front
from procedures.format.blocks import Chunk, block, chunks, without_closing_marks
from procedures.format.model import (
    Block,
    Desktop,
    Heading,
    Position,
    Procedure,
    Role,
    Section,
    Text,
)
from procedures.format.problems import Finding, FormatError
from procedures.format.report import Report

MAX_DOCUMENT = 400_000
"""Characters; a longer text is refused unread."""

SECTION_NAMES = {
    "fr": {
        Role.STEPS: "Étapes",
        Role.RESULT: "Résultat",
        Role.AFTER: "Après l'intervention",
        Role.CONFORMITY: "Conformité",
        Role.DESKTOP: "Bureau",
    },
    "en": {
        Role.STEPS: "Steps",
        Role.RESULT: "Result",
        Role.AFTER: "After the work",
        Role.CONFORMITY: "Conformance",
        Role.DESKTOP: "Desktop",
    },
}
_ROLES = {name.casefold(): role for names in SECTION_NAMES.values() for role, name in names.items()}

# Control characters, line separators that are not "\n", byte-order marks, and marks that make text read otherwise than
# it runs (Unicode TR 36, "Trojan Source": CVE-2021-42574).
_REFUSED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)
_BEYOND = re.compile(r"[\U0001fffe\U0001ffff\U000e0000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What could be read of a text. Without problems it is the procedure; with some it is an honest part of it."""

    procedure: Procedure
    problems: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Section:
    role: Role | None
    title: str
    at: Position
    chunks: list[Chunk] = field(default_factory=list)


def parse(text: str) -> Procedure:
    """The procedure written in ``text``. Raises FormatError with every problem and its place; nothing else."""
    draft = read(text)
    if draft.problems:
        raise FormatError(draft.problems)
    return draft.procedure


def read(text: str) -> Draft:
    """What can be understood of ``text``, and what cannot. Never raises, whatever the text."""
    report = Report()
    if len(text) > MAX_DOCUMENT:
        report.error("size", Position(1), N_("The text is longer than 400,000 characters."), N_("Split the procedure."))
        text = ""
    lines = _clean(text, report).split("\n")
    head = front.read(lines, report)
    context, sections = _cut(lines[head.body :], head.body + 1, report)
    procedure = Procedure(**head.values, fields=head.positions, context=_blocks(context, report))
    procedure = _with_sections(procedure, sections, report)
    return Draft(procedure=procedure, problems=report.findings)


def _clean(text: str, report: Report) -> str:
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    for pattern in (_REFUSED, _BEYOND):
        match = pattern.search(text)
        if match:
            _refuse_character(text, match, report)
            text = pattern.sub("\ufffd", text)
    return text


def _refuse_character(text: str, match: re.Match[str], report: Report) -> None:
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
    report.error(
        "characters",
        Position(line, column),
        N_("The character U+{code} is invisible or misleading."),
        N_("Delete it, or write what you mean with ordinary characters."),
        code=f"{ord(match[0]):04X}",
    )


def _cut(lines: Sequence[str], first_line: int, report: Report) -> tuple[list[Chunk], list[_Section]]:
    context: list[Chunk] = []
    sections: list[_Section] = []
    for chunk in chunks(lines, first_line):
        if chunk.kind == "heading_open" and chunk.tag == "h2":
            sections.append(_section(chunk, report))
        else:
            (sections[-1].chunks if sections else context).append(chunk)
    return context, sections


def _section(chunk: Chunk, report: Report) -> _Section:
    title = heading_text(chunk)
    if not title:
        report.error("section", chunk.at, N_("This heading is empty."), N_("Name the section, or remove the line."))
    return _Section(role_of(title), title, chunk.at)


def heading_text(chunk: Chunk) -> str:
    """A heading's own words; trailing ``#`` are never part of them."""
    return without_closing_marks(chunk.tokens[1].content)


def role_of(title: str) -> Role | None:
    """The role of a section from its title, in any of the languages."""
    return _ROLES.get(title.replace("’", "'").casefold())


def _blocks(found: Sequence[Chunk], report: Report) -> tuple[Block, ...]:
    return tuple(block(chunk, report) for chunk in found)


def _with_sections(procedure: Procedure, sections: Sequence[_Section], report: Report) -> Procedure:
    seen: set[Role] = set()
    for section in sections:
        if section.role in seen:
            report.error(
                "section",
                section.at,
                N_("The section “{title}” is written twice."),
                N_("Merge the two."),
                title=section.title,
            )
            continue
        if section.role:
            seen.add(section.role)
        procedure = _with_section(procedure, section, report)
    headings = tuple(Heading(title=section.title, role=section.role, at=section.at) for section in sections)
    return replace(procedure, headings=headings)


def _with_section(procedure: Procedure, section: _Section, report: Report) -> Procedure:
    match section.role:
        case Role.STEPS:
            return replace(procedure, steps=entries.steps(section.chunks, report))
        case Role.CONFORMITY:
            return replace(procedure, conformity=entries.conformity(section.chunks, report))
        case Role.RESULT:
            return replace(procedure, result=entries.result(section.chunks, section.at, report))
        case Role.AFTER:
            return replace(procedure, after=_blocks(section.chunks, report))
        case Role.DESKTOP:
            return replace(procedure, desktop=_desktop(section, report))
        case None:
            other = Section(title=section.title, body=_blocks(section.chunks, report), at=section.at)
            return replace(procedure, others=(*procedure.others, other))


def _desktop(section: _Section, report: Report) -> Desktop | None:
    found = [block(chunk, report) for chunk in section.chunks]
    code = found[0] if len(found) == 1 else None
    if code is None or isinstance(code, Text) or getattr(code, "language", "") != "yaml":
        report.error(
            "desktop",
            section.at,
            N_("The desktop section must hold one yaml block and nothing else."),
            N_("Put the manifest between ```yaml and ```."),
        )
        return None
    return desktop.read(code.script, code.at.line + 1, code.at, report) if hasattr(code, "script") else None

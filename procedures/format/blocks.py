"""Markdown cut into top-level blocks with their lines; only the block structure is read, inline marks stay text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from compagnon.i18n import N_
from compagnon.markup.markdown import BLOCK_RULES_OFF
from procedures.format.model import Block, Code, Note, NoteKind, Position, RunOn, Text
from procedures.format.report import Report

_BLOCKS = MarkdownIt("js-default").disable(["inline", "linkify", *BLOCK_RULES_OFF])

FENCE_EXAMPLE = "```sh {run_on=agent timeout=30}"

_BLANK = " \t\n"
_ATTRIBUTE = re.compile(r"([a-z_]+)=([\w./-]+)", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z0-9_+.#-]{0,32}")
_NOTE = re.compile(r" {0,3}>[ \t]?\[!(?P<kind>\w{1,20})\][ \t]*(?P<rest>.*)")
_QUOTE = re.compile(r" {0,3}>[ \t]?")


@dataclass(frozen=True, slots=True)
class Chunk:
    """One top-level block: its tokens, and its raw lines without the blank ones after it. ``line`` is 1-based."""

    tokens: Sequence[Token]
    lines: Sequence[str]
    line: int

    @property
    def kind(self) -> str:
        return self.tokens[0].type

    @property
    def tag(self) -> str:
        return self.tokens[0].tag

    @property
    def at(self) -> Position:
        return Position(self.line)

    @property
    def raw(self) -> str:
        return "\n".join(self.lines).rstrip(_BLANK)


def chunks(lines: Sequence[str], first_line: int) -> Iterator[Chunk]:
    """Cut ``lines`` into top-level blocks; ``first_line`` is the number of the first one in the file."""
    tokens = _BLOCKS.parse("\n".join(lines))
    for group in _top_level(tokens):
        start, end = group[0].map or [0, 0]
        while end > start + 1 and not lines[end - 1].strip(_BLANK):
            end -= 1
        yield Chunk(group, lines[start:end], start + first_line)


def _top_level(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    group: list[Token] = []
    for token in tokens:
        group.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield group
            group = []


def block(chunk: Chunk, report: Report) -> Block:
    if chunk.kind == "fence":
        return code(chunk.tokens[0], chunk.line, report, closed=_is_closed(chunk))
    if chunk.kind == "blockquote_open" and (match := _NOTE.fullmatch(chunk.lines[0])):
        return _note(chunk, match, report)
    return Text(markdown=chunk.raw, at=chunk.at)


def _is_closed(chunk: Chunk) -> bool:
    fence = chunk.tokens[0].markup
    return (
        len(chunk.lines) > 1
        and set(chunk.lines[-1].strip(_BLANK)) == {fence[0]}
        and (len(chunk.lines[-1].strip(_BLANK)) >= len(fence))
    )


def _note(chunk: Chunk, match: re.Match[str], report: Report) -> Block:
    name = match["kind"].upper()
    if name not in NoteKind.__members__:
        report.error(
            "note",
            chunk.at,
            N_("The note kind “{kind}” is not known."),
            N_("Use NOTE, TIP, IMPORTANT, WARNING or CAUTION."),
            kind=name,
        )
        return Text(markdown=chunk.raw, at=chunk.at)
    inner = [match["rest"], *(_QUOTE.sub("", line, count=1) for line in chunk.lines[1:])]
    return Note(kind=NoteKind[name], markdown=trimmed(inner), at=chunk.at)


def without_closing_marks(title: str) -> str:
    """A heading's words without the ``#`` that may close it, however many (CommonMark §4.2 takes off one group)."""
    title = title.strip(_BLANK)
    while title.endswith("#"):
        rest = title.rstrip("#")
        if rest and rest[-1] not in _BLANK:
            break
        title = rest.rstrip(_BLANK)
    return title


def trimmed(lines: Iterable[str]) -> str:
    """The lines without blank ones around them; lines of spaces become empty."""
    kept = [line if line.strip(_BLANK) else "" for line in lines]
    while kept and not kept[0]:
        kept.pop(0)
    return "\n".join(kept).rstrip(_BLANK)


def code(token: Token, line: int, report: Report, *, closed: bool = True) -> Code:
    at = Position(line)
    if not closed:
        report.error(
            "fence", at, N_("This code block is never closed."), N_("Add a line of ``` after the last line of code.")
        )
    language, pairs = _info(token.info, at, report)
    attributes = dict(pairs)
    run_on, timeout = attributes.pop("run_on", None), attributes.pop("timeout", None)
    return Code(
        language=language,
        script=token.content.removesuffix("\n"),
        run_on=_run_on(run_on, at, report),
        timeout=_timeout(timeout, at, report),
        unknown=tuple(attributes.items()),
        at=at,
    )


def _info(info: str, at: Position, report: Report) -> tuple[str, list[tuple[str, str]]]:
    language, pairs = attributes(info.strip(_BLANK), at, report)
    if not _LANGUAGE.fullmatch(language):
        report.error(
            "fence",
            at,
            N_("“{info}” is not understood after ```."),
            N_("Write the language, then attributes in braces: {example}"),
            info=language,
            example=FENCE_EXAMPLE,
        )
    return language, pairs


def attributes(text: str, at: Position, report: Report) -> tuple[str, list[tuple[str, str]]]:
    """Split ``words {a=b c=d}``; the attributes' names are unique."""
    bare = text.rstrip(_BLANK)
    start = bare.rfind("{")
    inside = bare[start + 1 : -1]
    if start < 0 or not bare.endswith("}") or "}" in inside:
        return text, []
    found = [_ATTRIBUTE.fullmatch(word) for word in inside.split()]
    pairs = [(pair[1], pair[2]) for pair in found if pair]
    if not pairs or len(pairs) != len(found) or len(dict(pairs)) != len(pairs):
        report.error(
            "attributes",
            at,
            N_("The attributes “{text}” are not understood."),
            N_("Write name=value, separated by spaces, each name once."),
            text=inside,
        )
    return bare[:start].rstrip(_BLANK), pairs


def _run_on(value: str | None, at: Position, report: Report) -> RunOn:
    if value is None:
        return RunOn.TECHNICIAN
    try:
        return RunOn(value)
    except ValueError:
        report.error(
            "fence", at, N_("run_on cannot be “{value}”."), N_("Write run_on=agent or run_on=technician."), value=value
        )
        return RunOn.TECHNICIAN


def _timeout(value: str | None, at: Position, report: Report) -> int | None:
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    report.error(
        "fence",
        at,
        N_("The timeout “{value}” is not a number of seconds."),
        N_("Write for instance timeout=30."),
        value=value,
    )
    return None

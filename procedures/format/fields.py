"""The list of ``- name: value`` that ends a step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it.token import Token

from compagnon.i18n import N_
from procedures.format.blocks import Chunk, code
from procedures.format.model import (
    CheckSpec,
    Ending,
    Evidence,
    OnFail,
    Position,
    Rollback,
)
from procedures.format.report import Report
from procedures.format.yamls import Node

NAMES = ("info", "phone", "show", "stepresult", "check", "on_fail", "evidence", "rollback", "repair")
MAX_TEXT = 2000
CHECK_EXAMPLE = "{service: {cups: {running: true}}}"
ON_FAIL_EXAMPLE = "{goto: s1, max: 2, then: {escalate: reseau}}"
WRITE = N_("Write for instance {example}.")
CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)

_FIELD = re.compile(r"(?P<name>[a-z_]{2,20})[ \u00a0\u202f]?:(?=\s|$)", re.ASCII)
_ITEM = re.compile(r"[ \t]*-[ \t]*")
_SPACES = re.compile(r"[ \t\n]+")


@dataclass(frozen=True, slots=True)
class Field:
    """``text`` is the value on one line; ``source`` the raw lines with everything before the value blanked out."""

    name: str
    text: str
    source: str
    tokens: Sequence[Token]
    at: Position
    first_line: int


def is_field_list(chunk: Chunk) -> bool:
    """A list is the step's fields when one of its items starts with a known field's name."""
    return chunk.kind == "bullet_list_open" and any(
        (match := _FIELD.match(content)) and match["name"] in NAMES for content in _first_words(chunk)
    )


def _first_words(chunk: Chunk) -> Iterator[str]:
    for items in _items(chunk):
        if len(items) > 2 and items[1].type == "paragraph_open":
            yield items[2].content


def _items(chunk: Chunk) -> Iterator[Sequence[Token]]:
    start = 0
    for index, token in enumerate(chunk.tokens):
        if token.level != 1:
            continue
        if token.type == "list_item_open":
            start = index
        elif token.type == "list_item_close":
            yield chunk.tokens[start:index]


def read(chunk: Chunk, allowed: Sequence[str], report: Report) -> list[Field]:
    """The fields of a list; unknown, repeated and badly shaped ones are reported and left out."""
    if chunk.tokens[0].markup != "-":
        report.error(
            "field", chunk.at, N_("Fields are written with another mark than “-”."), N_("Start each field with “- ”.")
        )
    found: dict[str, Field] = {}
    fields = []
    base = (chunk.tokens[0].map or [0])[0]
    for tokens in _items(chunk):
        field = _field(tokens, chunk, base, report)
        if field and _is_welcome(field, allowed, found, report):
            found[field.name] = field
            fields.append(field)
    return fields


def _is_welcome(field: Field, allowed: Sequence[str], found: dict[str, Field], report: Report) -> bool:
    if field.name not in allowed:
        report.error(
            "field",
            field.at,
            N_("The field “{name}” is not known here."),
            N_("Known here: {known}."),
            name=field.name,
            known=", ".join(allowed),
        )
        return False
    if field.name in found and field.name != "check":
        report.error("field", field.at, N_("The field “{name}” is written twice."), N_("Keep one."), name=field.name)
        return False
    return True


def _field(tokens: Sequence[Token], chunk: Chunk, base: int, report: Report) -> Field | None:
    first = tokens[1] if len(tokens) > 1 else tokens[0]
    start, end = (first.map or [base])[0], (tokens[0].map or [base, base + 1])[1]  # "-" may stand on a line alone
    lines = list(chunk.lines[start - base : end - base])
    content = tokens[2].content if len(tokens) > 2 and tokens[1].type == "paragraph_open" else ""
    match = _FIELD.match(content)
    line = chunk.line + start - base
    if not match:
        report.error(
            "field",
            Position(line),
            N_("This line is not a field."),
            N_("The list that ends a step holds “- name: value” only. Write ordinary lists with “*” or numbers."),
        )
        return None
    column = max(0, lines[0].find(match[0]))
    blanked = " " * (column + len(match[0])) + lines[0][column + len(match[0]) :]
    text = _SPACES.sub(" ", content[match.end() :]).strip(" ")
    source = "\n".join([blanked, *lines[1:]])
    return Field(match["name"], text, source, tokens, Position(line, column + 1), line)


def text(field: Field, report: Report) -> str | None:
    """One paragraph on one line, never empty, at most ``MAX_TEXT`` characters."""
    if len(field.tokens) != 4:
        report.error(
            "field",
            field.at,
            N_("“{name}” must be one paragraph."),
            N_("Put lists and code in the body of the step."),
            name=field.name,
        )
    if not field.text:
        report.error(
            "field", field.at, N_("“{name}” is empty."), N_("Write a sentence, or remove the line."), name=field.name
        )
        return None
    if len(field.text) > MAX_TEXT:
        report.error(
            "field", field.at, N_("“{name}” is too long."), N_("Keep it under 2000 characters."), name=field.name
        )
        return None
    return field.text


def word(field: Field, report: Report) -> str | None:
    """A code: lower-case letters, digits, hyphens."""
    if len(field.text) <= 64 and CODE.fullmatch(field.text):
        return field.text
    report.error(
        "field",
        field.at,
        N_("“{value}” is not a code."),
        N_("Use lower-case letters, digits and hyphens."),
        value=field.text,
    )
    return None


def evidence(field: Field, report: Report) -> Evidence:
    try:
        return Evidence(field.text)
    except ValueError:
        report.error(
            "field",
            field.at,
            N_("“{value}” is not a kind of evidence."),
            N_("Use none, note, output or picture."),
            value=field.text,
        )
        return Evidence.NONE


def check(field: Field, report: Report) -> CheckSpec | None:
    node = report.yaml(field.source, field.first_line, WRITE, example=CHECK_EXAMPLE)
    if node is None:
        return None
    if not isinstance(node.value, dict) or not node.value:
        report.error("check", field.at, N_("A check must be a mapping."), WRITE, example=CHECK_EXAMPLE)
        return None
    return CheckSpec(spec=node.value, at=node.at)


def on_fail(field: Field, report: Report) -> OnFail | None:
    node = report.yaml(field.source, field.first_line, WRITE, example=ON_FAIL_EXAMPLE)
    if node is None or not _is_mapping(node, ("goto", "max", "then"), report):
        return None
    then = node.items.get("then")
    limit = node.items.get("max")
    return OnFail(
        goto=_code_at(node.items.get("goto"), report),
        max=_number(limit, report) if limit else None,
        then=_ending(then, report) if then else None,
        at=field.at,
    )


def _ending(node: Node, report: Report) -> Ending | None:
    if not _is_mapping(node, ("procedure", "escalate"), report):
        return None
    return Ending(
        procedure=_code_at(node.items.get("procedure"), report),
        escalate=_code_at(node.items.get("escalate"), report),
    )


def _is_mapping(node: Node, known: Sequence[str], report: Report) -> bool:
    if not isinstance(node.value, dict) or not node.value:
        report.error("on-fail", node.at, N_("on_fail must be a mapping."), WRITE, example=ON_FAIL_EXAMPLE)
        return False
    for key, child in node.items.items():
        if key not in known:
            report.error(
                "on-fail", child.at, N_("on_fail does not know “{key}”."), WRITE, key=str(key), example=ON_FAIL_EXAMPLE
            )
    return True


def _code_at(node: Node | None, report: Report) -> str | None:
    if node is None:
        return None
    if isinstance(node.value, str) and len(node.value) <= 64 and CODE.fullmatch(node.value):
        return node.value
    report.error(
        "on-fail", node.at, N_("“{value}” is not a code."), WRITE, value=str(node.value), example=ON_FAIL_EXAMPLE
    )
    return None


def _number(node: Node, report: Report) -> int | None:
    if isinstance(node.value, int) and not isinstance(node.value, bool) and abs(node.value) < 10**6:
        return node.value
    report.error("on-fail", node.at, N_("max must be a whole number."), WRITE, example=ON_FAIL_EXAMPLE)
    return None


def rollback(field: Field, report: Report) -> Rollback | None:
    """A paragraph, then fences. Nothing else."""
    rest = field.tokens[4:]
    commands = tuple(
        code(token, field.first_line + (token.map or [0])[0] - (field.tokens[0].map or [0])[0], report)
        for token in rest
        if token.type == "fence" and token.level == 2
    )
    if len(commands) != len(rest):
        report.error(
            "field",
            field.at,
            N_("“{name}” holds something else than text and code."),
            N_("Write one sentence, then code blocks indented by two spaces."),
            name=field.name,
        )
    if not field.text and not commands:
        report.error(
            "field", field.at, N_("“{name}” is empty."), N_("Write a sentence, or remove the line."), name=field.name
        )
        return None
    return Rollback(text=field.text, commands=commands, at=field.at)

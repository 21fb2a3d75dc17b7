"""Steps, conformity items and the result: a heading, blocks, then fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compagnon.i18n import N_
from procedures.format import fields
from procedures.format.blocks import Chunk, attributes, block, without_closing_marks
from procedures.format.fields import Field
from procedures.format.model import Block, CheckSpec, Conformity, Evidence, Importance, Position, Result, Step
from procedures.format.report import Report

STEP_FIELDS = ("info", "phone", "show", "stepresult", "check", "on_fail", "evidence", "rollback")
CONFORMITY_FIELDS = ("info", "check", "repair")
RESULT_FIELDS = ("check",)
HEADING_EXAMPLE = "### s1: Ouvrez le menu {importance=required}"
MAX_TITLE = 200
MAX_ID = 32
_ID = re.compile(r"(?P<id>[\w-]+)[ \u00a0]?:[ \t]+(?P<title>.*)")


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    title: str
    importance: Importance | None
    body: tuple[Block, ...]
    fields: Sequence[Field]
    at: Position

    def one(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)

    @property
    def positions(self) -> dict[str, Position]:
        return {field.name: field.at for field in reversed(self.fields)}


def steps(chunks: Sequence[Chunk], report: Report) -> tuple[Step, ...]:
    return tuple(_step(entry, report) for entry in _entries(chunks, STEP_FIELDS, report))


def conformity(chunks: Sequence[Chunk], report: Report) -> tuple[Conformity, ...]:
    return tuple(_conformity(entry, report) for entry in _entries(chunks, CONFORMITY_FIELDS, report))


def result(chunks: Sequence[Chunk], at: Position, report: Report) -> Result:
    body, found = _body(chunks, RESULT_FIELDS, report)
    return Result(body=body, checks=_checks(found, report), at=at)


def _entries(chunks: Sequence[Chunk], allowed: Sequence[str], report: Report) -> list[_Entry]:
    groups: list[list[Chunk]] = []
    for chunk in chunks:
        if chunk.kind == "heading_open" and chunk.tag == "h3":
            groups.append([chunk])
        elif groups:
            groups[-1].append(chunk)
        else:
            report.error(
                "section",
                chunk.at,
                N_("This text stands before the first step."),
                N_("Move it to the context, or start with a heading such as {example}."),
                example=HEADING_EXAMPLE,
            )
    found = [_entry(group, allowed, number, report) for number, group in enumerate(groups, 1)]
    report.step = None
    return found


def _entry(group: Sequence[Chunk], allowed: Sequence[str], number: int, report: Report) -> _Entry:
    heading = group[0]
    report.step = None
    before, pairs = attributes(heading.tokens[1].content, heading.at, report)
    name, title = _name(before, heading.at, number, report)
    report.step = name
    importance = _importance(pairs, heading.at, report)
    body, found = _body(group[1:], allowed, report)
    return _Entry(name, title, importance, body, found, heading.at)


def _name(text: str, at: Position, number: int, report: Report) -> tuple[str, str]:
    match = _ID.fullmatch(text.strip(" \t"))
    name, title = (match["id"], match["title"]) if match else (f"s{number}", text)
    title = without_closing_marks(title)
    if not match or len(name) > MAX_ID or not fields.CODE.fullmatch(name):
        report.error(
            "step-heading",
            at,
            N_("This heading has no usable id."),
            N_("Write for instance {example}."),
            example=HEADING_EXAMPLE,
        )
    if not title or len(title) > MAX_TITLE:
        report.error(
            "step-heading",
            at,
            N_("This heading's title is empty or longer than 200 characters."),
            N_("Write for instance {example}."),
            example=HEADING_EXAMPLE,
        )
    return name[:MAX_ID], title[:MAX_TITLE]


def _importance(pairs: list[tuple[str, str]], at: Position, report: Report) -> Importance | None:
    found = None
    for name, value in pairs:
        if name == "importance" and value in list(Importance):
            found = Importance(value)
            continue
        report.error(
            "attributes",
            at,
            N_("“{name}={value}” is not known on a heading."),
            N_("Only importance=required and importance=optional are."),
            name=name,
            value=value,
        )
    return found


def _body(chunks: Sequence[Chunk], allowed: Sequence[str], report: Report) -> tuple[tuple[Block, ...], list[Field]]:
    body: list[Block] = []
    found: list[Field] = []
    for index, chunk in enumerate(chunks):
        if not fields.is_field_list(chunk):
            body.append(block(chunk, report))
            continue
        if index < len(chunks) - 1:
            report.error(
                "field",
                chunk.at,
                N_("The list of fields is not the last thing here."),
                N_("Move the fields to the end, in one list."),
            )
        found += fields.read(chunk, allowed, report)
    return tuple(body), found


def _checks(found: Sequence[Field], report: Report) -> tuple[CheckSpec, ...]:
    specs = [fields.check(field, report) for field in found if field.name == "check"]
    return tuple(spec for spec in specs if spec)


def _step(entry: _Entry, report: Report) -> Step:
    report.step = entry.id
    on_fail, evidence, rollback = entry.one("on_fail"), entry.one("evidence"), entry.one("rollback")
    show = entry.one("show")
    made = Step(
        id=entry.id,
        title=entry.title,
        importance=entry.importance,
        body=entry.body,
        **_texts(entry, ("info", "phone", "stepresult"), report),
        show=fields.word(show, report) if show else None,
        checks=_checks(entry.fields, report),
        on_fail=fields.on_fail(on_fail, report) if on_fail else None,
        evidence=fields.evidence(evidence, report) if evidence else Evidence.NONE,
        rollback=fields.rollback(rollback, report) if rollback else None,
        at=entry.at,
        fields=entry.positions,
    )
    report.step = None
    return made


def _conformity(entry: _Entry, report: Report) -> Conformity:
    report.step = entry.id
    if entry.importance:
        report.error("attributes", entry.at, N_("A conformity item has no importance."), N_("Remove the attributes."))
    repair = entry.one("repair")
    made = Conformity(
        id=entry.id,
        label=entry.title,
        checks=_checks(entry.fields, report),
        repair=fields.word(repair, report) if repair else None,
        **_texts(entry, ("info",), report),
        body=entry.body,
        at=entry.at,
        fields=entry.positions,
    )
    report.step = None
    return made


def _texts(entry: _Entry, names: Sequence[str], report: Report) -> dict[str, Any]:
    found = {name: entry.one(name) for name in names}
    return {name: fields.text(field, report) if field else None for name, field in found.items()}

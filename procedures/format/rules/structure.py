"""The document has its parts, each known, each in its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from compagnon.i18n import N_
from compagnon_agent.protocol.manifest import RESULT_STEP
from procedures.format.model import Conformity, Procedure, Role, Step, Text, Type
from procedures.format.parse import SECTION_NAMES
from procedures.format.rules.case import Case, Findings, advise, bodies, warn

T = TypeVar("T", bound=Hashable)
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
_SWALLOWED = re.compile(
    r"^(?: {4,}|\t)[ \t]*(?:#{2,3} |- (?:check|evidence|info|on_fail|phone|rollback|show|stepresult):)", re.M
)
_ENVIRONMENT_ROLES = (Role.CONFORMITY, Role.DESKTOP)
_PROCEDURE_ROLES = (Role.STEPS, Role.RESULT)


def metadata(case: Case) -> Findings:
    p = case.procedure
    needed = ("risk", "review_every") if p.type is Type.ENVIRONMENT else ("esttime", "risk", "review_every")
    for key in needed:
        if getattr(p, key) is None:
            yield warn(
                "metadata",
                p.position("id"),
                N_("“{key}” is missing from the metadata."),
                N_("Add “{key}: …” between the two “---” lines."),
                key=key,
            )
    for code in p.applies_to:
        if case.known.environments is not None and code not in case.known.environments:
            yield warn(
                "reference",
                p.position("applies_to"),
                N_("The environment “{code}” does not exist."),
                N_("Correct the code, or publish that environment first."),
                code=code,
            )


def indented(case: Case) -> Findings:
    """A heading or field pasted with four spaces is a code block to Markdown: it would be shown, and mean nothing."""
    for step, block in bodies(case.procedure):
        if isinstance(block, Text) and _SWALLOWED.search(block.markdown):
            yield warn(
                "indented",
                block.at,
                N_("A heading or an entry is indented: it is read as plain text."),
                N_("Remove the spaces at the beginning of its line."),
                step,
            )


def sections(case: Case) -> Findings:
    p = case.procedure
    names = SECTION_NAMES[p.locale]
    expected = ", ".join(names.values())
    for heading in p.headings:
        if heading.role is None:
            yield warn(
                "section-known",
                heading.at,
                N_("The section “{title}” is not known."),
                N_("Use only these sections: {expected}."),
                title=heading.title,
                expected=expected,
            )
        elif heading.title.replace("’", "'").casefold() != names[heading.role].casefold():
            yield warn(
                "section-known",
                heading.at,
                N_("The section “{title}” is not in the document's language."),
                N_("Call it “{expected}”."),
                title=heading.title,
                expected=names[heading.role],
            )
    yield from _misplaced(p)
    yield from _missing(p)


def _misplaced(p: Procedure) -> Findings:
    foreign = _PROCEDURE_ROLES if p.type is Type.ENVIRONMENT else _ENVIRONMENT_ROLES
    for heading in p.headings:
        if heading.role in foreign:
            yield warn(
                "section-known",
                heading.at,
                N_("The section “{title}” does not belong in a document of type “{type}”."),
                N_("Move it to another document, or correct the type."),
                title=heading.title,
                type=p.type,
            )


def _missing(p: Procedure) -> Findings:
    names = SECTION_NAMES[p.locale]
    if not p.context:
        yield warn(
            "section-missing",
            p.position("id"),
            N_("The context is missing."),
            N_("After the metadata, say in one or two sentences when to follow this and when not."),
        )
    present = {
        Role.STEPS: p.steps,
        Role.RESULT: p.result.body or p.result.checks,
        Role.CONFORMITY: p.conformity,
    }
    for role in (Role.CONFORMITY,) if p.type is Type.ENVIRONMENT else _PROCEDURE_ROLES:
        if not present[role]:
            yield warn(
                "section-missing",
                p.position("id"),
                N_("The section “{name}” is missing or empty."),
                N_("Add “## {name}” and write it."),
                name=names[role],
            )


def headings(case: Case) -> Findings:
    for step, block in bodies(case.procedure):
        if isinstance(block, Text) and _HEADING.match(block.markdown):
            yield warn(
                "heading-level",
                block.at,
                N_("There is a heading where none belongs."),
                N_("Only “##” for sections and “###” for steps are headings; the title is in the metadata."),
                step=step,
            )


def step_ids(case: Case) -> Findings:
    yield from _unique(case.procedure.steps)
    yield from _unique(case.procedure.conformity)
    for step in case.procedure.steps:
        if step.id == RESULT_STEP:
            yield warn(
                "step-id", step.at, N_("The id “{id}” is reserved."), N_("Choose another id."), step=step.id, id=step.id
            )


def _unique(owners: Sequence[Step] | Sequence[Conformity]) -> Findings:
    seen: set[str] = set()
    for owner in owners:
        if owner.id in seen:
            yield warn(
                "step-id",
                owner.at,
                N_("The id “{id}” is used twice."),
                N_("Give each its own id."),
                step=owner.id,
                id=owner.id,
            )
        seen.add(owner.id)


def steps(case: Case) -> Findings:
    for step in case.procedure.steps:
        if step.importance is None:
            yield warn(
                "importance",
                step.at,
                N_("This step does not say whether it is required."),
                N_("Add {example} at the end of the heading."),
                step=step.id,
                example="{importance=required}",
            )
        if step.required and not step.stepresult and not step.checks:
            yield warn(
                "stepresult",
                step.at,
                N_("This required step does not say how one knows that it worked."),
                N_("Add “- stepresult: …”, what is seen, or “- check: …”, what the agent verifies."),
                step=step.id,
            )


def conformity(case: Case) -> Findings:
    for item in case.procedure.conformity:
        if not item.checks:
            yield warn(
                "stepresult", item.at, N_("This conformity item has no check."), N_("Add “- check: …”."), step=item.id
            )
        if item.repair is None:
            yield advise(
                "repair",
                item.at,
                N_("No procedure repairs this."),
                N_("Add “- repair: …” with its code."),
                step=item.id,
            )
        elif case.known.procedures is not None and item.repair not in case.known.procedures:
            yield warn(
                "reference",
                item.fields.get("repair", item.at),
                N_("The procedure “{code}” does not exist."),
                N_("Correct the code, or publish that procedure first."),
                step=item.id,
                code=item.repair,
            )


def desktop(case: Case) -> Findings:
    manifest = case.procedure.desktop
    if manifest is None:
        return
    for name in _repeated(manifest.ids):
        yield warn(
            "desktop",
            manifest.at,
            N_("The desktop uses the id “{id}” twice."),
            N_("Give each element its own id."),
            id=name,
        )
    openers = {icon.id for icon in manifest.icons} | {
        item.id for item in (manifest.panel.items if manifest.panel else ())
    }
    for menu in manifest.menus:
        if menu.opens is not None and menu.opens not in openers:
            yield warn(
                "desktop",
                manifest.at,
                N_("The menu “{id}” opens from “{opens}”, which does not exist."),
                N_("Name an icon or an element of the panel."),
                id=menu.id,
                opens=menu.opens,
            )
    for column, row in _repeated([(icon.column, icon.row) for icon in manifest.icons]):
        yield warn(
            "desktop",
            manifest.at,
            N_("Two icons are at column {column}, row {row}."),
            N_("Move one of them."),
            column=str(column),
            row=str(row),
        )


def _repeated(items: Iterable[T]) -> list[T]:
    return [item for item, count in Counter(items).items() if count > 1]


def elements(case: Case) -> Findings:
    known = case.known.elements
    for step in case.procedure.steps:
        if step.show and known is not None and step.show not in known:
            yield warn(
                "reference",
                step.position("show"),
                N_("“{id}” is not an element of the standard desktop."),
                N_("Use an id of the environment's desktop manifest."),
                step=step.id,
                id=step.show,
            )

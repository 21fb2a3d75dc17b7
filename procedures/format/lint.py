"""Is this procedure fit to be published? Every finding names a rule, a step, a line, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from compagnon.i18n import N_
from procedures.format.model import Procedure
from procedures.format.parse import read
from procedures.format.problems import Finding
from procedures.format.rules import commands, failure, links, structure, values, wording
from procedures.format.rules.case import Case, Findings, Known

Rule = Callable[[Case], Findings]

CHECKS: tuple[Rule, ...] = (
    structure.metadata,
    structure.sections,
    structure.indented,
    structure.headings,
    structure.step_ids,
    structure.steps,
    structure.conformity,
    structure.desktop,
    structure.elements,
    failure.failures,
    commands.fences,
    commands.dangers,
    values.declared,
    values.placements,
    values.checks,
    wording.imperatives,
    wording.single_actions,
    wording.sentences,
    links.links,
)

RULES: Mapping[str, str] = {
    "attributes": N_("Attributes in braces are name=value pairs that are known there."),
    "characters": N_("No invisible or misleading characters."),
    "check": N_("Checks are ones that the agent knows."),
    "dangerous": N_("A command that can destroy data is declared with a high risk."),
    "desktop": N_("The desktop manifest is complete and consistent."),
    "failure-path": N_("Every failure ends in success, another procedure or an escalation."),
    "fence": N_("Code blocks are closed and their attributes understood."),
    "fence-attribute": N_("Code blocks have known attributes, and the agent runs only those of steps."),
    "fence-language": N_("The agent runs sh, powershell and cmd only."),
    "fence-size": N_("Commands are neither empty nor too long."),
    "field": N_("A step's fields are known, written once, and end the step."),
    "front-matter": N_("The metadata stands between two lines of three hyphens."),
    "goto": N_("Going back leads to an existing step, a bounded number of times."),
    "heading-level": N_("Headings are sections and steps only."),
    "imperative": N_("A step begins with an imperative, after an optional place or condition."),
    "importance": N_("Each step says whether it is required."),
    "indented": N_("Headings and entries begin at the left margin."),
    "link": N_("Links lead to the web, a mail address, a telephone or a procedure."),
    "manifest": N_("What the agent is sent fits."),
    "metadata": N_("The metadata is complete and of the right types."),
    "note": N_("Notes are of a known kind."),
    "on-fail": N_("on_fail is understood."),
    "one-action": N_("One action per step."),
    "parameter-declared": N_("Parameters are declared."),
    "parameter-used": N_("Declared parameters are used."),
    "parameter-valid": N_("Parameters have a label, consistent bounds and a valid default."),
    "picture": N_("Pictures come from this server and have an alternative text."),
    "placeholder": N_("Parameters stand alone in commands, outside quotes."),
    "reference": N_("Procedures, environments, skills and desktop elements that are named exist."),
    "repair": N_("Each conformity item names the procedure that repairs it."),
    "section": N_("Each section and each text has its place."),
    "section-known": N_("Only known sections, in the document's language."),
    "section-missing": N_("The context, the steps and the result are there."),
    "sentence-length": N_("At most 20 words in a sentence."),
    "size": N_("The text is not too long."),
    "step-heading": N_("A step's heading has an id and a title."),
    "step-id": N_("Ids are unique."),
    "stepresult": N_("Each required step says how one knows that it worked."),
    "timeout": N_("Timeouts are from 1 to 3600 seconds."),
    "yaml": N_("YAML is plain: no anchors, tags, repeated keys or deep nesting."),
}


def lint(source: str | Procedure, *, known: Known | None = None) -> tuple[Finding, ...]:
    """Everything to mend, in the order of the text: what cannot be read (``Severity.ERROR``), then what the rules say.

    ``known`` names what exists outside the text; without it references are not resolved. Never raises.
    """
    problems: tuple[Finding, ...] = ()
    if isinstance(source, str):
        draft = read(source)
        source, problems = draft.procedure, draft.problems
    case = Case(procedure=source, known=known or Known())
    found = [finding for check in CHECKS for finding in check(case)]
    if publishable((*problems, *found)):
        found += values.size(case)  # what is wrong in itself has been said already
    return tuple(sorted((*problems, *_not_said_twice(found, problems)), key=lambda finding: finding.at))


def _not_said_twice(found: list[Finding], problems: tuple[Finding, ...]) -> list[Finding]:
    """Without readable metadata, saying that each of its keys is missing would only be noise."""
    if any(problem.rule in ("front-matter", "size") for problem in problems):
        return [finding for finding in found if finding.rule not in ("metadata", "section-missing")]
    return found


def publishable(findings: tuple[Finding, ...]) -> bool:
    return not any(finding.blocks for finding in findings)

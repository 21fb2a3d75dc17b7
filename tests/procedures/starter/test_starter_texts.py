"""The starter library as texts: fit to publish, complete, and the same work in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from procedures import starter
from procedures.format import parse, render
from procedures.format.lint import lint
from procedures.format.manifest import manifest
from procedures.format.model import Procedure, Type
from procedures.format.rules.case import Known
from procedures.starter import StarterText

TEXTS = list(starter.texts())
ENVIRONMENTS = ("poste-debian-12", "poste-windows-11")
MIGRATION = Path(__file__).parents[3] / "platform/compagnon/migrations/0002_auth.sql"
SKILLS = set(re.findall(r"^\s+\('([a-z-]+)', '", MIGRATION.read_text("utf-8"), re.MULTILINE))


def parsed(code: str, locale: str = "fr") -> Procedure:
    return parse((starter.FOLDER / locale / f"{code}.md").read_text("utf-8"))


def named(text: StarterText) -> str:
    return f"{text.locale}-{text.code}"


@pytest.mark.parametrize("text", TEXTS, ids=named)
def test_nothing_is_found_fault_with(text: StarterText) -> None:
    elements = {element for code in ENVIRONMENTS for element in desktop_of(code)}
    known = Known(
        procedures={other.code for other in TEXTS}, skills=SKILLS, environments=ENVIRONMENTS, elements=elements
    )
    findings = [f"{finding.at.line}: {finding.rule} {finding.message}" for finding in lint(text.text, known=known)]
    assert findings == []


def desktop_of(code: str) -> tuple[str, ...]:
    desktop = parsed(code).desktop
    assert desktop is not None
    return desktop.ids


@pytest.mark.parametrize("text", TEXTS, ids=named)
def test_file_and_front_matter_agree(text: StarterText) -> None:
    procedure = parse(text.text)
    assert (procedure.id, procedure.locale) == (text.code, text.locale)


@pytest.mark.parametrize("text", TEXTS, ids=named)
def test_it_survives_being_written_again(text: StarterText) -> None:
    procedure = parse(text.text)
    assert parse(render(procedure)) == procedure


@pytest.mark.parametrize("text", TEXTS, ids=named)
def test_what_is_pointed_at_is_on_the_desktop(text: StarterText) -> None:
    procedure = parse(text.text)
    shown = {step.show for step in procedure.steps if step.show}
    for environment in procedure.applies_to:
        assert shown <= set(desktop_of(environment))


@pytest.mark.parametrize("text", [text for text in TEXTS if not text.code.startswith("poste-")], ids=named)
def test_a_technician_is_never_left_alone(text: StarterText) -> None:
    """Each says what the client hears, how one knows it worked, where a failure leads, and what a change leaves."""
    procedure = parse(text.text)
    assert any(step.phone for step in procedure.steps) or text.code in {"log-002", "ssh-001", "sys-002"}
    assert all(step.stepresult for step in procedure.steps)
    assert any(step.on_fail for step in procedure.steps)
    assert any(step.evidence != "none" for step in procedure.steps)
    assert procedure.reqconds
    assert procedure.result.body
    assert manifest(procedure, 1).steps


def test_there_are_enough_of_them() -> None:
    french = [parse(text.text) for text in starter.texts("fr")]
    procedures = [procedure for procedure in french if procedure.type is not Type.ENVIRONMENT]
    assert len(procedures) >= 18
    assert {procedure.id for procedure in french if procedure.type is Type.ENVIRONMENT} == set(ENVIRONMENTS)
    english = [text.code for text in starter.texts("en") if not text.code.startswith("poste-")]
    assert len(english) >= 4


@pytest.mark.parametrize("code", [text.code for text in starter.texts("en")])
def test_both_languages_do_the_same(code: str) -> None:
    french, english = parsed(code), parsed(code, "en")
    assert [step.id for step in french.steps] == [step.id for step in english.steps]
    for ours, theirs in zip(french.steps, english.steps, strict=True):
        assert [(fence.language, fence.script) for fence in ours.codes] == [
            (fence.language, fence.script) for fence in theirs.codes
        ]
        assert [check.spec for check in ours.checks] == [check.spec for check in theirs.checks]
        assert ours.on_fail == theirs.on_fail
        assert (ours.importance, ours.show, ours.evidence) == (theirs.importance, theirs.show, theirs.evidence)
    assert [check.spec for check in french.result.checks] == [check.spec for check in english.result.checks]
    assert [(item.id, item.repair) for item in french.conformity] == [
        (item.id, item.repair) for item in english.conformity
    ]
    if french.desktop and english.desktop:
        assert french.desktop.ids == english.desktop.ids


def test_environments_come_first() -> None:
    codes = [text.code for text in starter.texts("fr")]
    assert codes[:2] == list(ENVIRONMENTS)


@pytest.mark.parametrize("code", ENVIRONMENTS)
def test_each_promise_names_a_repair_for_that_environment(code: str) -> None:
    for promise in parsed(code).conformity:
        assert promise.repair is not None
        assert code in parsed(promise.repair).applies_to

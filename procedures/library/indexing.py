"""A published procedure as the search index sees it."""

from __future__ import annotations

from datetime import date

from compagnon_agent.protocol.parameters import placeholders
from kb.search.model import Document
from procedures.format.model import Procedure, Step
from procedures.library import texts
from procedures.library.model import Summary, Version
from procedures.library.systems import systems

KINDS = ("procedure", "environment")


def kind_of(version: Summary) -> str:
    return "environment" if version.kind == "environment" else "procedure"


def document_id(version: Summary) -> str:
    """One document per language: ``imp-001.fr``."""
    return f"{version.code}.{version.locale}"


def split_id(id: str) -> tuple[str, str]:
    """The code and the language of a document's id; codes have no dot."""
    code, _, locale = id.partition(".")
    return code, locale


def url(version: Summary) -> str:
    folder = "environments" if version.kind == "environment" else "procedures"
    return f"/{folder}/{version.code}?lang={version.locale}"


def document(version: Version, reviewed: date | None = None) -> Document:
    """``reviewed``: when the last reviewer approved exactly this text."""
    procedure = texts.parsed(version.text)
    return Document(
        kind=kind_of(version),
        id=document_id(version),
        title=version.title,
        url=url(version),
        locale=version.locale,
        symptoms=procedure.reqconds,
        identifiers=(version.code, *_commands(procedure)),
        steps=tuple(_step(step) for step in procedure.steps),
        body="\n".join((texts.plain(procedure.context), texts.plain(procedure.result.body), _promises(procedure))),
        environments=tuple(version.applies_to),
        skills=tuple(version.skills),
        os=systems(procedure, version.applies_to),
        state=version.state,
        reviewed=reviewed.isoformat() if reviewed else "",
    )


def _step(step: Step) -> str:
    parts = (step.title, step.info, step.phone, step.stepresult, texts.plain(step.body))
    return "\n".join(part for part in parts if part)


def _commands(procedure: Procedure) -> tuple[str, ...]:
    """Commands without placeholders are what people paste into the search box."""
    scripts = (code.script.strip() for step in procedure.steps for code in step.codes)
    lines = (line.strip() for script in scripts for line in script.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line and not placeholders(line)))[:50]


def _promises(procedure: Procedure) -> str:
    return "\n".join(promise.label for promise in procedure.conformity)

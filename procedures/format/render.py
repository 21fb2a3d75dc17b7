"""``Procedure`` → its one canonical text, and the SHA-256 that identifies a version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from procedures.format import desktop, texts
from procedures.format.model import Conformity, Procedure, Role, Step
from procedures.format.parse import SECTION_NAMES, parse
from procedures.format.yamls import flow


def render(procedure: Procedure) -> str:
    """The canonical text: ``parse(render(p)) == p`` for every ``p`` that ``parse`` gave. Ends with one newline."""
    return "\n\n".join([_front(procedure), *texts.blocks(procedure.context), *_sections(procedure)]) + "\n"


def canonical(text: str) -> str:
    """``text`` rewritten canonically; raises FormatError when it is not a procedure."""
    return render(parse(text))


def digest(source: str | Procedure) -> str:
    """SHA-256 (64 hex digits) of the canonical text. Layout and the order of keys do not change it; a word does.

    Raises FormatError when ``source`` is a text that is not a procedure.
    """
    text = canonical(source) if isinstance(source, str) else render(source)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _front(procedure: Procedure) -> str:
    return "\n".join(["---", *(_pair(key, value) for key, value in texts.metadata(procedure)), "---"])


def _pair(key: str, value: str) -> str:
    return f"{key}:{value}" if value.startswith("\n") else f"{key}: {value}"


def _sections(procedure: Procedure) -> Iterator[str]:
    names = SECTION_NAMES[procedure.locale]
    for role, parts in (
        (Role.CONFORMITY, [part for item in procedure.conformity for part in _conformity(item)]),
        (Role.DESKTOP, _desktop(procedure)),
        (Role.STEPS, [part for step in procedure.steps for part in _step(step)]),
        (Role.RESULT, _result(procedure)),
        (Role.AFTER, texts.blocks(procedure.after)),
    ):
        if parts:
            yield f"## {names[role]}"
            yield from parts
    for section in procedure.others:
        yield f"## {section.title}"
        yield from texts.blocks(section.body)


def _desktop(procedure: Procedure) -> list[str]:
    if procedure.desktop is None:
        return []
    return ["\n".join(["```yaml", *(list(desktop.write(procedure.desktop)) or ["{}"]), "```"])]


def _result(procedure: Procedure) -> list[str]:
    checks = (("check", flow(check.spec)) for check in procedure.result.checks)
    return [*texts.blocks(procedure.result.body), *_list(checks)]


def _step(step: Step) -> Iterator[str]:
    importance = f" {{importance={step.importance}}}" if step.importance else ""
    yield f"### {step.id}: {step.title}{importance}"
    yield from texts.blocks(step.body)
    yield from _list(texts.step_fields(step))


def _conformity(item: Conformity) -> Iterator[str]:
    yield f"### {item.id}: {item.label}"
    yield from texts.blocks(item.body)
    yield from _list(texts.conformity_fields(item))


def _list(fields: texts.Fields) -> list[str]:
    text = "\n".join(f"- {_pair(name, value)}" for name, value in fields)
    return [text] if text else []

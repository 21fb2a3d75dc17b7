"""The canonical text of a procedure's parts, which ``render`` puts together and ``diff`` compares."""

from __future__ import annotations

import re
from collections.abc import Iterator

from compagnon_agent.protocol.parameters import Parameter
from procedures.format.model import (
    Block,
    Code,
    Conformity,
    Ending,
    Evidence,
    Note,
    OnFail,
    Procedure,
    Rollback,
    RunOn,
    Step,
    Text,
)
from procedures.format.yamls import flow

Fields = Iterator[tuple[str, str]]
"""(name, value) pairs in canonical order; absent ones left out."""


def metadata(procedure: Procedure) -> Fields:
    yield "id", flow(procedure.id)
    yield "type", str(procedure.type)
    yield "title", flow(procedure.title)
    yield "locale", procedure.locale
    yield from _present(procedure, ("applies_to", "esttime", "perskill", "reqconds"))
    if procedure.parameters:
        lines = [f"\n  {parameter.name}: {flow(_parameter(parameter))}" for parameter in procedure.parameters]
        yield "parameters", "".join(lines)
    yield from _present(procedure, ("risk", "review_every"))


def _present(procedure: Procedure, keys: tuple[str, ...]) -> Fields:
    for key in keys:
        value = getattr(procedure, key)
        if value:
            yield key, flow(value) if isinstance(value, tuple) else str(value)


def _parameter(parameter: Parameter) -> dict[str, object]:
    values: dict[str, object] = {
        "type": str(parameter.type),
        "required": parameter.required,
        "default": parameter.default,
        "label": parameter.label or None,
        "choices": list(parameter.choices) or None,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
    }
    return _without_none(values)


def step_fields(step: Step) -> Fields:
    yield from _texts(step, ("info", "phone", "show", "stepresult"))
    yield from (("check", flow(check.spec)) for check in step.checks)
    if step.on_fail:
        yield "on_fail", flow(_on_fail(step.on_fail))
    if step.evidence is not Evidence.NONE:
        yield "evidence", str(step.evidence)
    if step.rollback:
        yield "rollback", _rollback(step.rollback)


def conformity_fields(item: Conformity) -> Fields:
    yield from _texts(item, ("info",))
    yield from (("check", flow(check.spec)) for check in item.checks)
    yield from _texts(item, ("repair",))


def _texts(owner: Step | Conformity, names: tuple[str, ...]) -> Fields:
    yield from ((name, value) for name in names if (value := getattr(owner, name)))


def _on_fail(on_fail: OnFail) -> dict[str, object]:
    then = _ending(on_fail.then) if on_fail.then else None
    return _without_none({"goto": on_fail.goto, "max": on_fail.max, "then": then})


def _ending(then: Ending) -> dict[str, object]:
    return _without_none({"procedure": then.procedure, "escalate": then.escalate})


def _without_none(values: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _rollback(rollback: Rollback) -> str:
    return "\n\n".join([rollback.text, *(_indented(block(code)) for code in rollback.commands)])


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.split("\n"))


def blocks(found: tuple[Block, ...]) -> list[str]:
    return [block(each) for each in found]


def block(found: Block) -> str:
    match found:
        case Text():
            return found.markdown
        case Note():
            return "\n".join([f"> [!{found.kind}]", *_quoted(found.markdown)])
        case Code():
            return _code(found)


def _quoted(markdown: str) -> Iterator[str]:
    if markdown:
        yield from (f"> {line}" if line else ">" for line in markdown.split("\n"))


def _code(code: Code) -> str:
    attributes = dict(code.unknown)
    if code.run_on is RunOn.AGENT:
        attributes["run_on"] = "agent"
    if code.timeout is not None:
        attributes["timeout"] = str(code.timeout)
    inside = " ".join(f"{name}={value}" for name, value in attributes.items())
    info = f"{code.language} {{{inside}}}" if inside else code.language
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", code.script)), default=0))
    return f"{fence}{info}\n{code.script}\n{fence}"

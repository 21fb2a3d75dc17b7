"""``Procedure`` → its one canonical text, and the SHA-256 that identifies a version."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from compagnon_agent.protocol.parameters import Parameter
from procedures.format import desktop
from procedures.format.model import (
    Block,
    CheckSpec,
    Code,
    Conformity,
    Ending,
    Evidence,
    Note,
    OnFail,
    Procedure,
    Role,
    Rollback,
    RunOn,
    Step,
    Text,
)
from procedures.format.parse import SECTION_NAMES, parse
from procedures.format.yamls import flow


def render(procedure: Procedure) -> str:
    """The canonical text: ``parse(render(p)) == p`` for every ``p`` that ``parse`` gave. Ends with one newline."""
    parts = ["\n".join(_front(procedure)), *_blocks(procedure.context), *_sections(procedure)]
    return "\n\n".join(parts) + "\n"


def canonical(text: str) -> str:
    """``text`` rewritten canonically; raises FormatError when it is not a procedure."""
    return render(parse(text))


def digest(source: str | Procedure) -> str:
    """SHA-256 (64 hex digits) of the canonical text. Layout and the order of keys do not change it; a word does."""
    text = canonical(source) if isinstance(source, str) else render(source)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _front(procedure: Procedure) -> Iterator[str]:
    yield "---"
    yield f"id: {flow(procedure.id)}"
    yield f"type: {procedure.type}"
    yield f"title: {flow(procedure.title)}"
    yield f"locale: {procedure.locale}"
    for key in ("applies_to", "esttime", "perskill", "reqconds"):
        yield from _key(key, getattr(procedure, key))
    if procedure.parameters:
        yield "parameters:"
        yield from (f"  {parameter.name}: {flow(_parameter(parameter))}" for parameter in procedure.parameters)
    yield from _key("risk", procedure.risk)
    yield from _key("review_every", procedure.review_every)
    yield "---"


def _key(key: str, value: object) -> Iterator[str]:
    if isinstance(value, tuple) and value:
        yield f"{key}: {flow(value)}"
    elif value:
        yield f"{key}: {value}"


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
    return {key: value for key, value in values.items() if value is not None}


def _sections(procedure: Procedure) -> Iterator[str]:
    names = SECTION_NAMES[procedure.locale]
    for role, parts in (
        (Role.CONFORMITY, [part for item in procedure.conformity for part in _conformity(item)]),
        (Role.DESKTOP, _desktop(procedure)),
        (Role.STEPS, [part for step in procedure.steps for part in _step(step)]),
        (Role.RESULT, [*_blocks(procedure.result.body), *_list(_checks(procedure.result.checks))]),
        (Role.AFTER, list(_blocks(procedure.after))),
    ):
        if parts:
            yield f"## {names[role]}"
            yield from parts
    for section in procedure.others:
        yield f"## {section.title}"
        yield from _blocks(section.body)


def _desktop(procedure: Procedure) -> list[str]:
    if procedure.desktop is None:
        return []
    return ["\n".join(["```yaml", *(list(desktop.write(procedure.desktop)) or ["{}"]), "```"])]


def _step(step: Step) -> Iterator[str]:
    importance = f" {{importance={step.importance}}}" if step.importance else ""
    yield f"### {step.id}: {step.title}{importance}"
    yield from _blocks(step.body)
    yield from _list(_step_fields(step))


def _step_fields(step: Step) -> Iterator[str]:
    yield from _texts(step, ("info", "phone", "show", "stepresult"))
    yield from _checks(step.checks)
    if step.on_fail:
        yield f"- on_fail: {flow(_on_fail(step.on_fail))}"
    if step.evidence is not Evidence.NONE:
        yield f"- evidence: {step.evidence}"
    if step.rollback:
        yield _rollback(step.rollback)


def _conformity(item: Conformity) -> Iterator[str]:
    yield f"### {item.id}: {item.label}"
    yield from _blocks(item.body)
    yield from _list([*_texts(item, ("info",)), *_checks(item.checks), *_texts(item, ("repair",))])


def _texts(owner: Step | Conformity, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        value = getattr(owner, name)
        if value:
            yield f"- {name}: {value}"


def _checks(checks: tuple[CheckSpec, ...]) -> Iterator[str]:
    yield from (f"- check: {flow(check.spec)}" for check in checks)


def _on_fail(on_fail: OnFail) -> dict[str, object]:
    then = _ending(on_fail.then) if on_fail.then else None
    values: dict[str, object] = {"goto": on_fail.goto, "max": on_fail.max, "then": then}
    return {key: value for key, value in values.items() if value is not None}


def _ending(then: Ending) -> dict[str, object]:
    values: dict[str, object] = {"procedure": then.procedure, "escalate": then.escalate}
    return {key: value for key, value in values.items() if value is not None}


def _rollback(rollback: Rollback) -> str:
    parts = [f"- rollback: {rollback.text}".rstrip(" "), *(_indented(_code(code)) for code in rollback.commands)]
    return "\n\n".join(parts)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.split("\n"))


def _list(items: Iterator[str] | list[str]) -> list[str]:
    text = "\n".join(items)
    return [text] if text else []


def _blocks(blocks: tuple[Block, ...]) -> Iterator[str]:
    yield from map(_block, blocks)


def _block(block: Block) -> str:
    match block:
        case Text():
            return block.markdown
        case Note():
            return "\n".join([f"> [!{block.kind}]", *_quoted(block.markdown)])
        case Code():
            return _code(block)


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

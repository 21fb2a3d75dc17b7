"""Parameters are declared, valid and used; placeholders and checks are ones that the agent accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from compagnon.i18n import N_
from compagnon_agent.protocol.checks import RESOURCES, CheckError, bind_checks, parse_checks
from compagnon_agent.protocol.manifest import MAX_MANIFEST, from_json, to_json
from compagnon_agent.protocol.parameters import (
    Parameter,
    ParameterError,
    ParameterType,
    placeholders,
    substitute,
    validate,
)
from compagnon_agent.protocol.wire import WireError
from procedures.format.manifest import manifest
from procedures.format.model import CheckSpec, Code, Position, Procedure, Step
from procedures.format.rules.case import Case, Findings, bodies, codes, warn
from procedures.format.rules.commands import SHELLS
from procedures.format.yamls import flow

_ALMOST = re.compile(r"\{\{\s*[A-Za-z_]\w*\s*\}\}")
_SAMPLES = {
    ParameterType.TEXT: "exemple",
    ParameterType.INTEGER: "1",
    ParameterType.BOOLEAN: "true",
    ParameterType.IPV4: "192.0.2.1",
    ParameterType.IPV6: "2001:db8::1",
    ParameterType.HOSTNAME: "poste.example",
    ParameterType.PORT: "9100",
    ParameterType.PATH: "/srv/exemple",
    ParameterType.PACKAGE: "cups",
    ParameterType.SERVICE: "cups",
    ParameterType.USERNAME: "camille",
}


def declared(case: Case) -> Findings:
    used = _used(case.procedure)
    names = {parameter.name for parameter in case.procedure.parameters}
    for name, (step, at) in used.items():
        if name not in names:
            yield warn(
                "parameter-declared",
                at,
                N_("The parameter “{name}” is not declared."),
                N_("Declare it under “parameters”, or correct its name."),
                step=step,
                name=name,
            )
    for parameter in case.procedure.parameters:
        at = case.procedure.position(f"parameters.{parameter.name}")
        if parameter.name not in used:
            yield warn(
                "parameter-used",
                at,
                N_("The parameter “{name}” is never used."),
                N_("Use it, or remove it."),
                name=parameter.name,
            )
        yield from _valid(parameter, at)


def _used(procedure: Procedure) -> dict[str, tuple[str | None, Position]]:
    found: dict[str, tuple[str | None, Position]] = {}
    for owner, at, text in _texts(procedure):
        for name in placeholders(text):
            found.setdefault(name, (owner, at))
    return found


def _texts(procedure: Procedure) -> Iterator[tuple[str | None, Position, str]]:
    for owner, block in bodies(procedure):
        yield owner, block.at, block.script if isinstance(block, Code) else block.markdown
    for step in procedure.steps:
        for name in ("title", "info", "phone", "stepresult"):
            yield step.id, step.position(name), getattr(step, name) or ""
        for code in codes(step):
            yield step.id, code.at, code.script
        if step.rollback:
            yield step.id, step.rollback.at, step.rollback.text
        yield from ((step.id, check.at, flow(check.spec)) for check in step.checks)
    for check in procedure.result.checks:
        yield None, check.at, flow(check.spec)
    for item in procedure.conformity:
        yield from ((item.id, check.at, flow(check.spec)) for check in item.checks)


def _valid(parameter: Parameter, at: Position) -> Findings:
    if not parameter.label:
        yield warn(
            "parameter-valid",
            at,
            N_("The parameter “{name}” has no label."),
            N_("Add “label”: the words of the form."),
            name=parameter.name,
        )
    if (parameter.type is ParameterType.CHOICE) != bool(parameter.choices):
        yield warn(
            "parameter-valid",
            at,
            N_("The parameter “{name}” needs “choices” exactly when its type is “choice”."),
            N_("Add the choices, or correct the type."),
            name=parameter.name,
        )
    if parameter.minimum is not None and parameter.maximum is not None and parameter.minimum > parameter.maximum:
        yield warn(
            "parameter-valid",
            at,
            N_("The minimum of “{name}” is above its maximum."),
            N_("Correct one of them."),
            name=parameter.name,
        )
    elif parameter.default is not None:
        yield from _default(parameter, at)


def _default(parameter: Parameter, at: Position) -> Findings:
    try:
        validate(parameter, parameter.default or "")
    except ParameterError as error:
        yield warn(
            "parameter-valid",
            at,
            N_("The default of “{name}” is not valid: {reason}."),
            N_("Correct the default."),
            name=parameter.name,
            reason=error.reason,
            **_plain(error),
        )


def _plain(error: ParameterError) -> dict[str, str]:
    return {name: str(value) for name, value in error.params.items()}


def placements(case: Case) -> Findings:
    for step in case.procedure.steps:
        for code in codes(step):
            yield from _placement(step, code)
            yield from _almost(step, code)


def _placement(step: Step, code: Code) -> Findings:
    names = placeholders(code.script) if code.language in SHELLS else ()
    if not names:
        return
    try:
        substitute(code.script, dict.fromkeys(names, "x"), shell=code.language)
    except ParameterError as error:
        yield warn(
            "placeholder",
            _line_of(code, error.name),
            N_("“{name}” cannot be filled in here: {reason}."),
            N_("Write the parameter alone, outside quotes, comments and here-documents."),
            step=step.id,
            name=error.name,
            reason=error.reason,
            **_plain(error),
        )


def _almost(step: Step, code: Code) -> Findings:
    for match in _ALMOST.finditer(code.script):
        if not placeholders(match[0]):
            yield warn(
                "placeholder",
                _line(code, match.start()),
                N_("“{text}” is not a parameter as the format writes it."),
                N_("Write it in lower case and without spaces, for instance {example}."),
                step=step.id,
                text=match[0],
                example="{{ip}}",
            )


def _line_of(code: Code, name: str) -> Position:
    offset = code.script.find("{{" + name + "}}")
    return _line(code, max(offset, 0))


def _line(code: Code, offset: int) -> Position:
    before = code.script[:offset]
    return Position(code.at.line + 1 + before.count("\n"), offset - (before.rfind("\n") + 1) + 1)


def sample(parameter: Parameter) -> str:
    """A value that the parameter accepts, for trying a script or a check out."""
    if parameter.choices:
        return parameter.choices[0]
    return parameter.default or _SAMPLES.get(parameter.type, "exemple")


def checks(case: Case) -> Findings:
    values = {parameter.name: sample(parameter) for parameter in case.procedure.parameters}
    for owner, spec in _specs(case.procedure):
        yield from _check(owner, spec, values)


def _specs(procedure: Procedure) -> Iterator[tuple[str | None, CheckSpec]]:
    for owner in procedure.owners:
        yield from ((owner.id, spec) for spec in owner.checks)
    yield from ((None, spec) for spec in procedure.result.checks)


def _check(owner: str | None, spec: CheckSpec, values: dict[str, str]) -> Findings:
    unknown = [name for name in spec.spec if name not in RESOURCES]
    if unknown:
        yield warn(
            "check",
            spec.at,
            N_("“{name}” is not a kind of check."),
            N_("Use one of: {known}."),
            step=owner,
            name=unknown[0],
            known=", ".join(RESOURCES),
        )
        return
    try:
        bind_checks(parse_checks(spec.spec), values)
    except CheckError as error:
        yield warn(
            "check",
            spec.at,
            N_("This check is not valid: {path} {reason}."),
            N_("Correct it as the reference of checks says."),
            step=owner,
            path=error.path,
            reason=error.reason,
        )
    except ParameterError as error:
        if error.name in values:  # an undeclared one has its own rule
            yield warn(
                "placeholder",
                spec.at,
                N_("“{name}” cannot be filled in here: {reason}."),
                N_("Write the parameter alone, outside quotes, comments and here-documents."),
                step=owner,
                name=error.name,
                reason=error.reason,
                **_plain(error),
            )


def size(case: Case) -> Findings:
    """What the agent is sent must fit. For a procedure that is otherwise fit to be published."""
    try:
        text = to_json(manifest(case.procedure, 1))
        from_json(text)
    except WireError as error:
        yield warn(
            "manifest",
            case.procedure.position("id"),
            N_("The agent would refuse this procedure: {reason}."),
            N_("Shorten or split it."),
            reason=f"{error.path} {error.reason}".strip(),
        )
    except (CheckError, ValueError):
        return  # has its own finding
    else:
        if len(text.encode()) > MAX_MANIFEST:
            yield warn(
                "manifest",
                case.procedure.position("id"),
                N_("The commands of this procedure are too long together."),
                N_("Shorten or split it."),
            )

"""Checks: declarative, goss-named statements about a machine, and their results.

``{"service": {"cups": {"running": true}}}`` is one :class:`Check`. Keys and values may hold ``{{name}}``, filled in by
:func:`bind_checks` from validated parameters; in the command line of a ``command`` check as one quoted word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, TypeAlias

from .expectations import ExpectationError, Kind, validate_expectation
from .parameters import ParameterError, placeholders, substitute
from .quoting import PLACEHOLDER
from .resources import RESOURCES, Attribute, Resource
from .wire import JSON, Codec, WireError, choice, clean_json, dumps, integer, json_object, text

__all__ = [
    "RESOURCES", "Attribute", "Check", "CheckError", "CheckResult", "Checks", "Kind", "Outcome", "Resource",
    "bind_checks", "check_placeholders", "command_of", "expected_attributes", "is_read_only", "parse_checks",
    "to_mapping", "validate_check",
]  # fmt: skip

MAX_CHECKS = 100
MAX_KEY = 4000
MAX_ATTRIBUTES = 24
OBSERVED_LIMIT = 4096
"""Bytes of canonical JSON that the observed values of one result may take."""


class CheckError(ValueError):
    """``path`` (``service.cups.running``) names the fault's place, ``reason`` says in plain English what it is."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One resource, its key, and what is expected of its attributes (values or matchers, as goss has them)."""

    resource: str
    key: str
    attributes: Mapping[str, JSON]

    @property
    def title(self) -> str:
        """Its own title, or ``resource key``."""
        given = self.attributes.get("title")
        return given if isinstance(given, str) and given else f"{self.resource} {self.key}"


class Outcome(StrEnum):
    """``ERROR``: it could not be found out. ``UNSUPPORTED``: not on this kind of machine."""

    PASSED = "pass"
    FAILED = "fail"
    ERROR = "error"
    UNSUPPORTED = "unsupported"


def validate_check(check: Check, *, bound: bool = False) -> None:
    """Raise :class:`CheckError` unless the check is well formed. ``bound``: no placeholder may be left."""
    path = f"{check.resource}.{check.key[:60]}"
    resource = RESOURCES.get(check.resource)
    if resource is None:
        raise CheckError(check.resource[:40], f"is not a resource: use {', '.join(RESOURCES)}")
    if not 1 <= len(check.key) <= MAX_KEY:
        raise CheckError(path, f"the key must have 1 to {MAX_KEY} characters")
    has_placeholder = PLACEHOLDER.search(check.key) is not None
    if bound and has_placeholder:
        raise CheckError(path, "has a placeholder without a value")
    if not has_placeholder and not resource.pattern.fullmatch(check.key):
        raise CheckError(path, f"the key must be: {resource.key}, for example {resource.example}")
    if len(check.attributes) > MAX_ATTRIBUTES:
        raise CheckError(path, f"has more than {MAX_ATTRIBUTES} attributes")
    for name, expected in check.attributes.items():
        _validate_attribute(resource, path, name, expected, bound=bound)


def _validate_attribute(resource: Resource, path: str, name: str, expected: JSON, *, bound: bool) -> None:
    attribute = resource.attributes.get(name)
    if attribute is None:
        raise CheckError(
            path, f"'{name[:40]}' is not an attribute of {resource.name}: use {', '.join(resource.attributes)}"
        )
    where = f"{path}.{name}"
    if bound and PLACEHOLDER.search(dumps(expected)):
        raise CheckError(where, "has a placeholder without a value")
    if attribute.setting and isinstance(expected, Mapping | list):
        raise CheckError(where, "takes a plain value")
    try:
        validate_expectation(attribute.kind, expected)
    except ExpectationError as fault:
        raise CheckError(where, str(fault)) from None
    if attribute.setting:
        _validate_setting(where, name, attribute, expected)


def _validate_setting(where: str, name: str, attribute: Attribute, value: JSON) -> None:
    if isinstance(value, int) and not attribute.minimum <= value <= attribute.maximum:
        raise CheckError(where, f"must be between {attribute.minimum} and {attribute.maximum}")
    if name == "method" and value not in ("GET", "HEAD"):
        raise CheckError(where, "must be GET or HEAD")


def parse_checks(mapping: object) -> tuple[Check, ...]:
    """Checks from goss's nested form ``{resource: {key: {attribute: expected}}}``, in order; :class:`CheckError`."""
    if not isinstance(mapping, Mapping):
        raise CheckError("check", "must be {resource: {key: {attribute: value}}}")
    checks: list[Check] = []
    for resource, entries in mapping.items():
        if not isinstance(entries, Mapping):
            raise CheckError(str(resource)[:40], "must be {key: {attribute: value}}")
        for key, attributes in entries.items():
            checks.append(_parse_one(resource, key, attributes))
            if len(checks) > MAX_CHECKS:
                raise CheckError(str(resource)[:40], f"more than {MAX_CHECKS} checks")
    return tuple(checks)


def _parse_one(resource: object, key: object, attributes: object) -> Check:
    path = f"{resource}.{key}"[:100]
    if attributes is None:
        attributes = {}
    if not isinstance(resource, str) or not isinstance(key, str | int) or isinstance(key, bool):
        raise CheckError(path, "the key must be text")
    if not isinstance(attributes, Mapping) or not all(isinstance(name, str) for name in attributes):
        raise CheckError(path, "must be {attribute: value}")
    try:
        cleaned = {name: clean_json(value, path) for name, value in attributes.items()}
    except WireError as fault:
        raise CheckError(path, fault.reason) from None
    check = Check(resource=resource, key=str(key), attributes=cleaned)  # `port: {22: …}`: YAML reads a number
    validate_check(check)
    return check


def to_mapping(checks: Iterable[Check]) -> dict[str, dict[str, dict[str, JSON]]]:
    """The nested form :func:`parse_checks` reads."""
    nested: dict[str, dict[str, dict[str, JSON]]] = {}
    for check in checks:
        nested.setdefault(check.resource, {})[check.key] = dict(check.attributes)
    return nested


def is_read_only(check: Check) -> bool:
    """False for ``command``: it executes, so it needs a consent like any step."""
    resource = RESOURCES.get(check.resource)
    return resource is not None and resource.read_only


def command_of(check: Check) -> str:
    """The whole command line of a ``command`` check: ``exec``, or the key when there is none."""
    given = check.attributes.get("exec")
    return given if isinstance(given, str) else check.key


def expected_attributes(check: Check) -> dict[str, JSON]:
    """What the check expects, without the settings; the resource's own default when it names nothing."""
    resource = RESOURCES[check.resource]
    expected = {name: value for name, value in check.attributes.items() if not resource.attributes[name].setting}
    return expected or dict(resource.default)


def check_placeholders(checks: Iterable[Check]) -> tuple[str, ...]:
    """The names of all placeholders in keys and values, each once, in order."""
    found: dict[str, None] = {}
    for check in checks:
        found.update(dict.fromkeys(placeholders(check.key)))
        found.update(dict.fromkeys(placeholders(dumps(dict(check.attributes)))))
    return tuple(found)


def bind_checks(checks: Iterable[Check], values: Mapping[str, str], *, shell: str = "sh") -> tuple[Check, ...]:
    """Checks with every placeholder replaced by its (already validated) value, validated again as a whole.

    ``shell`` is what will run the command lines of ``command`` checks: "sh", or "powershell" on Windows.
    Raises :class:`ParameterError` for a name without a value or badly placed in a command line, :class:`CheckError`
    when the outcome is not a well-formed check.
    """
    return tuple(_bind(check, values, shell) for check in checks)


def _bind(check: Check, values: Mapping[str, str], shell: str) -> Check:
    if not PLACEHOLDER.search(check.key) and not PLACEHOLDER.search(dumps(dict(check.attributes))):
        validate_check(check, bound=True)
        return check
    resource = RESOURCES[check.resource]
    key = substitute(check.key, values, shell=shell) if check.resource == "command" else _fill(check.key, values)
    attributes: dict[str, JSON] = {}
    for name, expected in check.attributes.items():
        if name == "exec" and isinstance(expected, str):
            attributes[name] = substitute(expected, values, shell=shell)
        else:
            attributes[name] = _bind_value(expected, values, resource.attributes[name].kind)
    bound = replace(check, key=key, attributes=attributes)
    validate_check(bound)
    return bound


def _fill(template: str, values: Mapping[str, str]) -> str:
    for name in placeholders(template):
        if name not in values:
            raise ParameterError(name, "has no value")
    return PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


def _bind_value(expected: JSON, values: Mapping[str, str], kind: Kind) -> JSON:
    if isinstance(expected, Mapping):
        return {name: _bind_value(operand, values, kind) for name, operand in expected.items()}
    if isinstance(expected, list):
        return [_bind_value(item, values, kind) for item in expected]
    if not isinstance(expected, str):
        return expected
    filled = _fill(expected, values)
    if not PLACEHOLDER.fullmatch(expected):
        return filled
    if kind is Kind.INTEGER and filled.lstrip("-").isdecimal() and len(filled) < 17:
        return int(filled)
    if kind is Kind.BOOLEAN and filled in ("true", "false"):
        return filled == "true"
    return filled


def _read_check(value: object, path: str) -> Check:
    if not isinstance(value, dict):
        raise WireError(path, "must be an object")
    try:
        return _parse_one(value.get("resource"), value.get("key"), value.get("attributes", {}))
    except CheckError as fault:
        raise WireError(path, str(fault)) from None


check_codec: Codec[Check] = Codec(
    _read_check,
    lambda check: {"resource": check.resource, "key": check.key, "attributes": dict(check.attributes)},
)

Checks: TypeAlias = tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A machine's answer to one check: ``observed`` by attribute name; ``reason`` says what differs or went wrong."""

    check: Annotated[Check, check_codec]
    outcome: Annotated[Outcome, choice(Outcome)]
    observed: Annotated[Mapping[str, JSON], json_object(OBSERVED_LIMIT)]
    reason: Annotated[str, text(500)] = ""
    duration_ms: Annotated[int, integer(0, 3_600_000)] = 0

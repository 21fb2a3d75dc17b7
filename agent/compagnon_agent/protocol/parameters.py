"""Parameters of a procedure: typed values, and their safe way into a script.

A value is validated to canonical text of its type before it goes anywhere. In a script, each ``{{name}}`` becomes one
quoted word; :mod:`.quoting` refuses every place where a quoted word would not stay one word.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from .quoting import PLACEHOLDER, Misplaced, quote_placeholders
from .wire import boolean, choice, integer, optional, sequence, text

MAX_PARAMETERS = 40
MAX_VALUE = 1000
"""Characters of one value."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class ParameterType(StrEnum):
    """``TEXT`` is one line; ``PATH`` absolute; the last three take the systems' own names."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    HOSTNAME = "hostname"
    PORT = "port"
    PATH = "path"
    PACKAGE = "package"
    SERVICE = "service"
    USERNAME = "username"


class ParameterError(ValueError):
    """A value, or the place of a placeholder, is not acceptable.

    ``reason`` is an English msgid with named fields, ``params`` their values; ``name`` the parameter.
    """

    def __init__(self, name: str, reason: str, **params: object) -> None:
        super().__init__(f"{name}: {reason.format(**params)}")
        self.name = name
        self.reason = reason
        self.params = params


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """``minimum`` and ``maximum`` bound a number, or the length of a text; ``choices`` are for CHOICE."""

    name: Annotated[str, text(40, minimum=1)]
    type: Annotated[ParameterType, choice(ParameterType)]
    required: Annotated[bool, boolean] = True
    default: Annotated[str | None, optional(text(MAX_VALUE))] = None
    label: Annotated[str, text(200)] = ""
    choices: Annotated[tuple[str, ...], sequence(text(200, minimum=1), 50)] = ()
    minimum: Annotated[int | None, optional(integer(-(2**53), 2**53))] = None
    maximum: Annotated[int | None, optional(integer(-(2**53), 2**53))] = None


_PATTERNS: Mapping[ParameterType, tuple[re.Pattern[str], str]] = {
    # RFC 1123 §2.1: labels of letters, digits and inner hyphens, 63 each.
    ParameterType.HOSTNAME: (
        re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?"),
        "must be a host name",
    ),
    # Debian Policy 5.6.1, widened for other systems' names (winget ids have capitals, dots and underscores).
    ParameterType.PACKAGE: (re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:-]{0,127}"), "must be a package name"),
    # systemd.unit(5); a leading hyphen would be read as an option.
    ParameterType.SERVICE: (re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:\\-]{0,127}"), "must be a service name"),
    ParameterType.USERNAME: (re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?"), "must be a user name"),
}
_PATH = re.compile(r"/[^\x00-\x1f\x7f]*|[A-Za-z]:\\[^\x00-\x1f\x7f<>\"|?*]*|~(/[^\x00-\x1f\x7f]*)?")
_TRUE = frozenset({"true", "yes", "1", "on", "oui", "vrai"})
_FALSE = frozenset({"false", "no", "0", "off", "non", "faux"})


def validate(parameter: Parameter, raw: str) -> str:
    """The canonical text of ``raw`` for this parameter; :class:`ParameterError` says what is wrong with it.

    Empty text means "not given": the default is taken, or the empty text when the parameter is not required.
    """
    raw = raw.strip()
    if raw == "" and parameter.default:
        raw = parameter.default.strip()
    if raw == "":
        if parameter.required:
            raise ParameterError(parameter.name, "a value is needed")
        return ""
    if len(raw) > MAX_VALUE:
        raise ParameterError(parameter.name, "must have at most {maximum} characters", maximum=MAX_VALUE)
    if any(ord(character) < 32 or 127 <= ord(character) < 160 or _unsafe(character) for character in raw):
        raise ParameterError(parameter.name, "must be one line without control characters")
    return _canonical(parameter, raw)


def _unsafe(character: str) -> bool:
    # Line and paragraph separators break lines in some shells; bidirectional controls hide what is really there.
    return (
        character in "\u2028\u2029"
        or "\u202a" <= character <= "\u202e"
        or "\u2066" <= character <= "\u2069"
        or ("\ud800" <= character <= "\udfff")
    )


def _canonical(parameter: Parameter, raw: str) -> str:
    kind = parameter.type
    if kind in _PATTERNS:
        pattern, reason = _PATTERNS[kind]
        if not pattern.fullmatch(raw):
            raise ParameterError(parameter.name, reason)
        return raw.rstrip(".").lower() if kind is ParameterType.HOSTNAME else raw
    if kind is ParameterType.INTEGER:
        return _integer(parameter, raw, parameter.minimum, parameter.maximum)
    if kind is ParameterType.PORT:
        low = 1 if parameter.minimum is None else max(1, parameter.minimum)
        high = 65535 if parameter.maximum is None else min(65535, parameter.maximum)
        return _integer(parameter, raw, low, high)
    if kind is ParameterType.BOOLEAN:
        return _boolean(parameter, raw)
    if kind in (ParameterType.IPV4, ParameterType.IPV6):
        return _address(parameter, raw)
    return _words(parameter, raw)


def _integer(parameter: Parameter, raw: str, low: int | None, high: int | None) -> str:
    if not re.fullmatch(r"-?[0-9]{1,16}", raw):
        raise ParameterError(parameter.name, "must be a whole number")
    number = int(raw)
    if low is not None and number < low:
        raise ParameterError(parameter.name, "must be at least {minimum}", minimum=low)
    if high is not None and number > high:
        raise ParameterError(parameter.name, "must be at most {maximum}", maximum=high)
    return str(number)


def _boolean(parameter: Parameter, raw: str) -> str:
    folded = raw.casefold()
    if folded in _TRUE:
        return "true"
    if folded in _FALSE:
        return "false"
    raise ParameterError(parameter.name, "must be yes or no")


def _address(parameter: Parameter, raw: str) -> str:
    try:
        if parameter.type is ParameterType.IPV4:
            return str(ipaddress.IPv4Address(raw))
        if "%" in raw:
            raise ValueError
        return str(ipaddress.IPv6Address(raw))
    except ValueError:
        version = "IPv4" if parameter.type is ParameterType.IPV4 else "IPv6"
        raise ParameterError(parameter.name, "must be an {version} address", version=version) from None


def _words(parameter: Parameter, raw: str) -> str:
    if parameter.type is ParameterType.CHOICE:
        if raw not in parameter.choices:
            raise ParameterError(parameter.name, "must be one of {choices}", choices=", ".join(parameter.choices))
        return raw
    if parameter.type is ParameterType.PATH:
        if not _PATH.fullmatch(raw) or ".." in re.split(r"[/\\]", raw):
            raise ParameterError(parameter.name, "must be an absolute path")
        return raw
    if raw.startswith("-"):  # quoting keeps it one word, but the command would read it as an option
        raise ParameterError(parameter.name, "must not begin with a hyphen")
    return _length(parameter, raw)


def _length(parameter: Parameter, raw: str) -> str:
    if parameter.minimum is not None and len(raw) < parameter.minimum:
        raise ParameterError(parameter.name, "must have at least {minimum} characters", minimum=parameter.minimum)
    if parameter.maximum is not None and len(raw) > parameter.maximum:
        raise ParameterError(parameter.name, "must have at most {maximum} characters", maximum=parameter.maximum)
    return raw


def validate_all(parameters: Iterable[Parameter], values: Mapping[str, str]) -> dict[str, str]:
    """Canonical text for every parameter; a value for a name that is not declared is refused."""
    declared = {parameter.name: parameter for parameter in parameters}
    for name in values:
        if name not in declared:
            raise ParameterError(name[:40], "is not a parameter of this procedure")
    return {name: validate(parameter, values.get(name, "")) for name, parameter in declared.items()}


def placeholders(script: str) -> tuple[str, ...]:
    """The names in ``{{name}}``, in order of first appearance, each once."""
    return tuple(dict.fromkeys(PLACEHOLDER.findall(script)))


def substitute(script: str, values: Mapping[str, str], *, shell: str) -> str:
    """``script`` with each ``{{name}}`` replaced by its value as one quoted word of ``shell`` ("sh" or "powershell").

    Raises :class:`ParameterError` for a name without a value, or one that stands inside quotes, a comment, a
    here-document or any construct in which a quoted word could be read as something else.
    """
    for name in placeholders(script):
        if name not in values:
            raise ParameterError(name, "has no value")
        if any(ord(character) < 32 or _unsafe(character) for character in values[name]):
            raise ParameterError(name, "must be one line without control characters")
    try:
        return quote_placeholders(script, values, shell=shell)
    except Misplaced as fault:
        raise ParameterError(fault.name, fault.reason) from None

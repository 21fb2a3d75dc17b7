"""What a check expects of an attribute: a plain value, a list, or one of goss's matchers; and whether it is met.

Matchers: ``equal lt le gt ge have-prefix have-suffix contain-substring match-regexp contain-element contain-elements
consist-of have-len and or not``, with the short names ``contain`` (element or substring) and ``match``.
Text (standard output, a file's content, a page's body) takes a list of patterns, each of which must be found in some
line: ``word``, ``/regex/``, ``!not this``, ``!/nor this/``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from .quoting import PLACEHOLDER

if TYPE_CHECKING:
    from .wire import JSON

MAX_PATTERN = 200
MAX_LIST = 50
MAX_TEXT = 1000
MAX_DEPTH = 4
LINE_LIMIT = 2000
"""Characters of a line that a pattern is tried on."""


class Kind(StrEnum):
    """What an attribute's observed value is."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    STRING = "string"
    STRINGS = "list of strings"
    LINES = "text"


class ExpectationError(ValueError):
    """The expectation cannot be asked of an attribute of this kind; the text says why, in plain English."""


_ORDER = frozenset({"lt", "le", "gt", "ge"})
_SUBSTRING = frozenset({"have-prefix", "have-suffix", "contain-substring"})
_REGEX = frozenset({"match-regexp", "match"})
_LISTS = frozenset({"contain-elements", "consist-of"})
_COMBINED = frozenset({"and", "or"})
_BY_KIND: Mapping[Kind, frozenset[str]] = {
    Kind.BOOLEAN: frozenset({"equal"}),
    Kind.INTEGER: frozenset({"equal"}) | _ORDER,
    Kind.STRING: frozenset({"equal", "contain", "have-len"}) | _ORDER | _SUBSTRING | _REGEX,
    Kind.STRINGS: frozenset({"equal", "contain", "contain-element", "have-len"}) | _LISTS,
    Kind.LINES: frozenset({"equal", "contain", "contain-element", "contain-elements"}) | _SUBSTRING | _REGEX,
}


def validate_expectation(kind: Kind, expected: JSON, depth: int = 0) -> None:
    """Raise :class:`ExpectationError` unless ``expected`` can be asked of an attribute of ``kind``."""
    if depth > MAX_DEPTH:
        raise ExpectationError("matchers are nested too deeply")
    if isinstance(expected, Mapping):
        _validate_matcher(kind, expected, depth)
    elif isinstance(expected, list):
        _validate_list(kind, expected)
    else:
        _validate_scalar(kind, expected)


def _validate_matcher(kind: Kind, expected: Mapping[str, JSON], depth: int) -> None:
    if not 1 <= len(expected) <= 8:
        raise ExpectationError("a matcher needs 1 to 8 conditions")
    for name, operand in expected.items():
        if name in _COMBINED:
            if not isinstance(operand, list) or not 1 <= len(operand) <= 10:
                raise ExpectationError(f"'{name}' needs a list of 1 to 10 matchers")
            for part in operand:
                validate_expectation(kind, part, depth + 1)
        elif name == "not":
            validate_expectation(kind, operand, depth + 1)
        elif name not in _BY_KIND[kind]:
            raise ExpectationError(f"'{name}' is not a matcher for {kind}: use {_known(kind)}")
        else:
            _validate_operand(kind, name, operand, depth)


def _known(kind: Kind) -> str:
    return ", ".join(sorted(_BY_KIND[kind] | {"and", "or", "not"}))


def _validate_operand(kind: Kind, name: str, operand: JSON, depth: int) -> None:
    if name in _REGEX:
        check_regex(_text(operand))
    elif name == "have-len":
        if isinstance(operand, Mapping):
            validate_expectation(Kind.INTEGER, operand, depth + 1)
        else:
            _validate_scalar(Kind.INTEGER, operand)
    elif name in _LISTS:
        if not isinstance(operand, list):
            raise ExpectationError(f"'{name}' needs a list")
        _validate_list(kind, operand)
    elif name == "equal" and kind is Kind.STRINGS:
        if not isinstance(operand, list):
            raise ExpectationError("'equal' needs a list here")
        _validate_list(kind, operand)
    elif kind in (Kind.BOOLEAN, Kind.INTEGER):
        _validate_scalar(kind, operand)
    else:
        _text(operand)


def _validate_list(kind: Kind, expected: Sequence[JSON]) -> None:
    if kind not in (Kind.STRINGS, Kind.LINES):
        raise ExpectationError(f"a list cannot be asked of a {kind}")
    if len(expected) > MAX_LIST:
        raise ExpectationError(f"a list has at most {MAX_LIST} items")
    for item in expected:
        pattern = _text(item)
        if kind is Kind.LINES:
            _validate_pattern(pattern)


def _validate_scalar(kind: Kind, expected: JSON) -> None:
    if isinstance(expected, str) and PLACEHOLDER.fullmatch(expected):
        return  # typed when it is bound
    if kind is Kind.BOOLEAN and not isinstance(expected, bool):
        raise ExpectationError("must be true or false")
    if kind is Kind.INTEGER and (isinstance(expected, bool) or not isinstance(expected, int)):
        raise ExpectationError("must be a whole number")
    if kind in (Kind.STRING, Kind.STRINGS, Kind.LINES):
        text = _text(expected)
        if kind is Kind.LINES:
            _validate_pattern(text)


def _text(value: JSON) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)  # YAML reads `version: 12` as a number
    if not isinstance(value, str):
        raise ExpectationError("must be text")
    if len(value) > MAX_TEXT:
        raise ExpectationError(f"must have at most {MAX_TEXT} characters")
    return value


def _validate_pattern(pattern: str) -> None:
    body = pattern.removeprefix("!")
    if len(body) >= 2 and body[0] == "/" == body[-1]:
        check_regex(body[1:-1])


_UNBOUNDED = re.compile(r"[*+]|\{\d*,\d*\}|\{\d+\}")


def check_regex(pattern: str) -> None:
    """Refuse a pattern that is invalid or whose cost could explode (repeated repetitions, references, look-around).

    A second guard is that the agent evaluates checks in a process of their own, with a deadline.
    """
    if len(pattern) > MAX_PATTERN:
        raise ExpectationError(f"a regular expression has at most {MAX_PATTERN} characters")
    if PLACEHOLDER.search(pattern):
        raise ExpectationError("a regular expression cannot contain a placeholder")
    if re.search(r"\(\?[^:]|\\[1-9]", pattern):
        raise ExpectationError("references, flags and look-around are not supported in a regular expression")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as fault:
        raise ExpectationError(f"not a regular expression: {fault}") from None
    _refuse_nested(pattern)


def _refuse_nested(pattern: str) -> None:
    plain = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern)
    stack = [False]
    index = 0
    while index < len(plain):
        character = plain[index]
        if character == "(":
            stack.append(False)
        elif character == ")" and len(stack) > 1:
            repeated = stack.pop()
            if repeated and _UNBOUNDED.match(plain, index + 1):
                raise ExpectationError("a repetition cannot be repeated in a regular expression")
            stack[-1] = stack[-1] or repeated
        elif _UNBOUNDED.match(plain, index) or character == "|":
            stack[-1] = True
        index += 1


def met(expected: JSON, observed: JSON) -> bool:
    """Whether ``observed`` meets the (validated) expectation. An observed list or text is matched item by item.

    A text is observed as the list of its lines, or as one string.
    """
    if isinstance(expected, Mapping):
        return all(_MATCHERS[name](operand, observed) for name, operand in expected.items())
    if isinstance(expected, list):
        return all(_found(item, observed) for item in expected)
    if isinstance(observed, list):
        return _found(expected, observed)
    return _equal(expected, observed)


def _equal(expected: JSON, observed: JSON) -> bool:
    if isinstance(expected, bool) or isinstance(observed, bool):
        return expected is observed
    if isinstance(observed, list) and isinstance(expected, list):
        return sorted(map(str, observed)) == sorted(map(str, expected))
    if isinstance(observed, str) or isinstance(expected, str):
        return observed is not None and str(expected) == str(observed)
    return expected == observed


def _found(pattern: JSON, observed: JSON) -> bool:
    lines = observed if isinstance(observed, list) else str(observed).splitlines()
    text = str(pattern)
    if text.startswith("!"):
        return not _found_in(text[1:], lines)
    return _found_in(text, lines)


def _found_in(pattern: str, items: Sequence[JSON]) -> bool:
    if len(pattern) >= 2 and pattern[0] == "/" == pattern[-1]:
        compiled = re.compile(pattern[1:-1])
        return any(compiled.search(str(item)[:LINE_LIMIT]) for item in items)
    return any(pattern == str(item) for item in items)


def patterns_met(expected: JSON, lines: Sequence[str]) -> bool:
    """As :func:`met`, for text: a plain word is looked for *within* the lines, not as a whole line."""
    if isinstance(expected, Mapping):
        return all(_line_matcher(name, operand, lines) for name, operand in expected.items())
    wanted = expected if isinstance(expected, list) else [expected]
    return all(_pattern_met(str(pattern), lines) for pattern in wanted)


def _pattern_met(pattern: str, lines: Sequence[str]) -> bool:
    if pattern.startswith("!"):
        return not _pattern_met(pattern[1:], lines)
    if len(pattern) >= 2 and pattern[0] == "/" == pattern[-1]:
        return _found_in(pattern, list(lines))
    return any(pattern in line for line in lines)


def _line_matcher(name: str, operand: JSON, lines: Sequence[str]) -> bool:
    if name == "not":
        return not patterns_met(operand, lines)
    if name in _COMBINED and isinstance(operand, list):
        results = (patterns_met(part, lines) for part in operand)
        return all(results) if name == "and" else any(results)
    if name in {"contain", "contain-substring", "contain-element", "contain-elements"}:
        return patterns_met(operand if isinstance(operand, list) else [operand], lines)
    if name in _REGEX:
        return _found_in(f"/{operand}/", list(lines))
    text = "\n".join(lines).strip()
    return _MATCHERS[name](operand, text)


def version_key(text: str) -> tuple[tuple[int, str], ...]:
    """Order version texts by their numbers: "12.4" < "12.10"."""
    return tuple((int(number or 0), word) for number, word in re.findall(r"(\d{1,15})|([A-Za-z]+)", text))


def _compare(operand: JSON, observed: JSON) -> int | None:
    if isinstance(operand, bool) or isinstance(observed, bool) or operand is None or observed is None:
        return None
    left: object
    right: object
    if isinstance(operand, int | float) and isinstance(observed, int | float):
        return (observed > operand) - (observed < operand)
    left, right = version_key(str(observed)), version_key(str(operand))
    return (left > right) - (left < right)


def _ordered(*accepted: int) -> Matcher:
    def matcher(operand: JSON, observed: JSON) -> bool:
        order = _compare(operand, observed)
        return order is not None and order in accepted

    return matcher


def _has(operand: JSON, observed: JSON) -> bool:
    if isinstance(observed, list):
        return _found(operand, observed)
    return observed is not None and str(operand) in str(observed)


def _has_all(operand: JSON, observed: JSON) -> bool:
    return isinstance(operand, list) and all(_has(item, observed) for item in operand)


def _regex(operand: JSON, observed: JSON) -> bool:
    items = observed if isinstance(observed, list) else [observed]
    return any(item is not None and re.search(str(operand), str(item)[:LINE_LIMIT]) for item in items)


def _length(operand: JSON, observed: JSON) -> bool:
    return isinstance(observed, list | str) and met(operand, len(observed))


if TYPE_CHECKING:
    from collections.abc import Callable

    Matcher = Callable[[JSON, JSON], bool]

_MATCHERS: Mapping[str, Matcher] = {
    "equal": _equal,
    "lt": _ordered(-1),
    "le": _ordered(-1, 0),
    "gt": _ordered(1),
    "ge": _ordered(0, 1),
    "have-prefix": lambda operand, observed: observed is not None and str(observed).startswith(str(operand)),
    "have-suffix": lambda operand, observed: observed is not None and str(observed).endswith(str(operand)),
    "contain-substring": lambda operand, observed: observed is not None and str(operand) in str(observed),
    "contain": _has,
    "contain-element": _has,
    "contain-elements": _has_all,
    "consist-of": _equal,
    "match-regexp": _regex,
    "match": _regex,
    "have-len": _length,
    "not": lambda operand, observed: not met(operand, observed),
    "and": lambda operand, observed: isinstance(operand, list) and all(met(part, observed) for part in operand),
    "or": lambda operand, observed: isinstance(operand, list) and any(met(part, observed) for part in operand),
}

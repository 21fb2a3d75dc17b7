"""YAML as the format allows it: a small, dull subset, built from libyaml's events so that every value has a place.

No anchors, aliases or tags (so no bombs), no duplicate keys, at most ``MAX_DEPTH`` levels. Plain ``true``,
``false``, ``null`` and numbers are typed as in the YAML 1.2 core schema; ``no``, ``on`` and ``12:30`` stay words. Keys
are always text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

import yaml

from compagnon.i18n import N_
from procedures.format.model import Json, Position

MAX_DEPTH = 12
MAX_KEY = 256
MAX_VALUES = 5000


class _Mark(Protocol):
    """What libyaml's and PyYAML's own marks share; both count from 0."""

    line: int
    column: int


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,11})\.[0-9]{1,12}")
_PLAIN = re.compile(r"[^\W\d_][\w./~+@'’()-]*(?: [\w./~+@'’()-]+)*")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it is written. ``items`` holds a mapping's children by key, a sequence's by index."""

    value: Json
    at: Position
    items: Mapping[str | int, Node] = field(default_factory=dict)


class YamlError(ValueError):
    """``message`` is a msgid."""

    def __init__(self, at: Position, message: str, **params: str) -> None:
        super().__init__(message)
        self.at, self.message, self.params = at, message, params


def load(text: str, *, first_line: int = 1) -> Node:
    """Read one YAML document. ``first_line`` is the number of the text's first line in the whole file.

    YamlError says where and why it is refused; nothing else is raised, whatever the text.
    """
    return _Builder(text, first_line).document()


class _Builder:
    def __init__(self, text: str, first_line: int) -> None:
        self._first_line = first_line
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._left = MAX_VALUES

    def document(self) -> Node:
        try:
            return self._document()
        except yaml.MarkedYAMLError as error:
            raise self._refused(error) from error
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            raise YamlError(Position(self._first_line), N_("This YAML cannot be read.")) from error

    def _document(self) -> Node:
        next(self._events)  # stream start
        first = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            return Node(None, Position(self._first_line))
        node = self._value(next(self._events), 1)
        next(self._events)  # document end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise YamlError(self._at(after), N_("Only one YAML document is allowed here."))
        return node

    def _value(self, event: yaml.NodeEvent, depth: int) -> Node:
        self._guard(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            return Node(_scalar(event), self._at(event))
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, depth)
        return self._sequence(event, depth)

    def _guard(self, event: yaml.NodeEvent, depth: int) -> None:
        self._left -= 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise YamlError(self._at(event), N_("YAML anchors and aliases are not allowed."))
        if getattr(event, "tag", None) not in (None, "!"):
            raise YamlError(self._at(event), N_("YAML tags are not allowed."))
        if depth > MAX_DEPTH or self._left < 0:
            raise YamlError(self._at(event), N_("This YAML is nested too deeply or too long."))

    def _mapping(self, start: yaml.Event, depth: int) -> Node:
        items: dict[str | int, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event)
            if key in items:
                raise YamlError(self._at(event), N_("The key “{key}” is written twice."), key=key)
            child = self._value(next(self._events), depth + 1)
            items[key] = child
        return Node({key: child.value for key, child in items.items()}, self._at(start), items)

    def _key(self, event: yaml.NodeEvent) -> str:
        self._guard(event, 0)
        if not isinstance(event, yaml.ScalarEvent):
            raise YamlError(self._at(event), N_("A key must be a word. Quote what holds braces or brackets."))
        if len(event.value) > MAX_KEY:
            raise YamlError(self._at(event), N_("This key is too long."))
        return str(event.value)

    def _sequence(self, start: yaml.Event, depth: int) -> Node:
        items: dict[str | int, Node] = {}
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items[len(items)] = self._value(event, depth + 1)
        return Node([child.value for child in items.values()], self._at(start), items)

    def _at(self, event: yaml.Event) -> Position:
        return self._place(event.start_mark)

    def _place(self, mark: _Mark | None) -> Position:
        return Position(mark.line + self._first_line, mark.column + 1) if mark else Position(self._first_line)

    def _refused(self, error: yaml.MarkedYAMLError) -> YamlError:
        at = self._place(error.problem_mark or error.context_mark)
        reason = error.problem or ""
        return YamlError(
            at,
            N_("This YAML cannot be read: {reason}. Quote text that holds a colon, a hash sign, braces or brackets."),
            reason=reason,
        )


def _scalar(event: yaml.ScalarEvent) -> Json:
    text = str(event.value)
    if event.style in ("'", '"', "|", ">"):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def flow(value: Json) -> str:
    """Write ``value`` on one line so that ``load`` gives it back."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_word(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return _word(value)
    return "null" if value is None else _plain_number(value)


def _word(text: str) -> str:
    plain = _PLAIN.fullmatch(text) and text not in _WORDS and len(text) <= MAX_KEY
    return text if plain else json.dumps(text, ensure_ascii=False)


def _plain_number(value: bool | int | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else format(Decimal(repr(value)), "f")

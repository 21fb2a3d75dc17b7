"""Typed reading of YAML nodes, with a problem where the type is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from compagnon.i18n import N_
from procedures.format.report import Report
from procedures.format.yamls import Node

MAX_LINE = 200
E = TypeVar("E", bound=StrEnum)


class Reader:
    """Reads the keys of one mapping; ``rule`` names the findings. A missing key gives None, a wrong one is reported."""

    def __init__(self, node: Node, rule: str, report: Report) -> None:
        self._node, self._rule, self._report = node, rule, report

    def inside(self, node: Node) -> Reader:
        """A reader of a child mapping."""
        return Reader(node, self._rule, self._report)

    def has(self, key: str) -> bool:
        return key in self._node.items and self._node.items[key].value is not None

    def node(self, key: str) -> Node | None:
        return self._node.items[key] if self.has(key) else None

    def refuse(self, node: Node, message: str, mend: str, **params: str) -> None:
        self._report.error(self._rule, node.at, message, mend, **params)

    def only(self, known: Sequence[str]) -> None:
        """Report every key that is not known."""
        for key, child in self._node.items.items():
            if key not in known:
                self.refuse(
                    child,
                    N_("The key “{key}” is not known here."),
                    N_("Known here: {known}."),
                    key=str(key),
                    known=", ".join(known),
                )

    def require(self, *keys: str) -> None:
        for key in keys:
            if not self.has(key):
                self.refuse(self._node, N_("The key “{key}” is missing."), N_("Add “{key}: …”."), key=key)

    def line(self, key: str, maximum: int = MAX_LINE) -> str | None:
        """One line of text; numbers and booleans are taken as they are written in YAML's own way."""
        node = self.node(key)
        return self.line_of(node, key, maximum) if node else None

    def line_of(self, node: Node, key: str, maximum: int = MAX_LINE) -> str | None:
        value = node.value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        text = value.strip(" ") if isinstance(value, str) else ""
        if not text or len(text) > maximum or "\n" in text or "\t" in text:
            self.refuse(
                node,
                N_("“{key}” must be one line of text, at most {maximum} characters."),
                N_("Shorten it, and quote it if it holds braces or brackets."),
                key=key,
                maximum=str(maximum),
            )
            return None
        return text

    def lines(self, key: str, pattern: re.Pattern[str] | None = None) -> tuple[str, ...]:
        node = self.node(key)
        if node is None:
            return ()
        if not isinstance(node.value, list):
            self.refuse(node, N_("“{key}” must be a list."), N_("Write [one, two]."), key=key)
            return ()
        texts = [(child, self.line_of(child, key)) for child in node.items.values()]
        return tuple(text for child, text in texts if text and self._fits(child, text, pattern))

    def _fits(self, node: Node, text: str, pattern: re.Pattern[str] | None) -> bool:
        if pattern is None or (len(text) <= 64 and pattern.fullmatch(text)):
            return True
        self.refuse(node, N_("“{value}” is not a code."), N_("Use lower-case letters, digits and hyphens."), value=text)
        return False

    def code(self, key: str, pattern: re.Pattern[str]) -> str | None:
        text = self.line(key)
        node = self.node(key)
        return text if text and node and self._fits(node, text, pattern) else None

    def choice(self, key: str, enumeration: type[E]) -> E | None:
        node = self.node(key)
        if node is None:
            return None
        try:
            return enumeration(node.value)
        except ValueError:
            self.refuse(
                node,
                N_("“{value}” is not allowed for “{key}”."),
                N_("Choose one of: {known}."),
                key=key,
                value=str(node.value),
                known=", ".join(enumeration),
            )
            return None

    def one_of(self, key: str, words: Sequence[str]) -> str | None:
        node = self.node(key)
        if node is None or node.value in words:
            return str(node.value) if node else None
        self.refuse(
            node,
            N_("“{value}” is not allowed for “{key}”."),
            N_("Choose one of: {known}."),
            key=key,
            value=str(node.value),
            known=", ".join(words),
        )
        return None

    def integer(self, key: str, low: int, high: int) -> int | None:
        node = self.node(key)
        if node is None:
            return None
        value = node.value
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self.refuse(
            node,
            N_("“{key}” must be a whole number from {low} to {high}."),
            N_("Correct the number."),
            key=key,
            low=str(low),
            high=str(high),
        )
        return None

    def boolean(self, key: str) -> bool | None:
        node = self.node(key)
        if node is None or isinstance(node.value, bool):
            return node.value if node else None
        self.refuse(node, N_("“{key}” must be true or false."), N_("Write true or false, without quotes."), key=key)
        return None

    def mappings(self, key: str) -> list[Node]:
        node = self.node(key)
        if node is None:
            return []
        if not isinstance(node.value, list):
            self.refuse(node, N_("“{key}” must be a list."), N_("Write one “- …” per element."), key=key)
            return []
        for child in node.items.values():
            if not isinstance(child.value, dict):
                self.refuse(
                    child, N_("Each element of “{key}” must be a mapping."), N_("Write “key: value” pairs."), key=key
                )
        return [child for child in node.items.values() if isinstance(child.value, dict)]

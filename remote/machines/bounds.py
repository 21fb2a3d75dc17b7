"""Bring what an agent reports into bounds: everything it says is hostile until it went through here.

Text loses control and bidirectional characters (they could make a name read as another), numbers are clamped,
structures are cut to a depth and a number of entries. Escaping is the templates' work; this keeps sizes and types.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]")
BIGGEST = 2**53 - 1  # what JSON readers agree on (RFC 8259 §6)


def text(value: object, limit: int) -> str:
    """One line of at most ``limit`` characters; empty for anything but text or a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return UNSHOWABLE.sub("", str(value)[: 4 * limit]).strip()[:limit]


def number(value: object, *, low: float = 0, high: float = BIGGEST) -> int | float | None:
    """A finite number within bounds, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return min(max(value, low), high)


def whole(value: object, *, high: int = BIGGEST) -> int | None:
    found = number(value, high=high)
    return None if found is None else int(found)


def boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def texts(value: object, *, count: int, limit: int) -> list[str]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return []
    found = (text(item, limit) for item in value[:count])
    return [item for item in found if item]


def mappings(value: object, *, count: int) -> list[Mapping[str, object]]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return []
    return [item for item in value[:count] if isinstance(item, Mapping)]


def json(value: object, *, depth: int = 4, entries: int = 64, limit: int = 500) -> Any:  # noqa: ANN401 - any JSON
    """Any JSON value cut to ``depth`` levels, ``entries`` a level and ``limit`` characters a text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return number(value, low=-BIGGEST)
    if isinstance(value, str):
        return text(value, limit)
    if depth <= 0:
        return None
    if isinstance(value, Mapping):
        pairs = list(value.items())[:entries]
        return {text(key, 100): json(item, depth=depth - 1, entries=entries, limit=limit) for key, item in pairs}
    if isinstance(value, Sequence):
        return [json(item, depth=depth - 1, entries=entries, limit=limit) for item in value[:entries]]
    return None

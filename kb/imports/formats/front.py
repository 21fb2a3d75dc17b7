"""The YAML header of a Markdown file: words and lists of words, nothing that can grow or run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

LIMIT = 32_768  # characters
MAX_DEPTH = 6
MAX_EVENTS = 3_000
HEADER = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # builds text, lists and mappings; nothing else
Front = Mapping[str, Any]


class FrontMatterError(ValueError):
    """The header is not simple YAML; the message says why."""


def split(text: str) -> tuple[Front, str]:
    """The header and the rest. A text without one has an empty header. Raises FrontMatterError."""
    found = HEADER.match(text)
    if not found:
        return {}, text
    header = found[1]
    if len(header) > LIMIT:
        raise FrontMatterError(f"the header has more than {LIMIT} characters")
    return _load(header), text[found.end() :]


def _load(header: str) -> Front:
    try:
        _guard(header)
        value = _built(header)
    except yaml.YAMLError as error:
        raise FrontMatterError(getattr(error, "problem", None) or "not YAML") from None
    except (UnicodeError, ValueError, RecursionError) as error:
        raise FrontMatterError(str(error)[:200]) from None
    if not value:
        return {}
    if not isinstance(value, dict):
        raise FrontMatterError("the header is not a list of keys")
    return {str(key): item for key, item in value.items() if isinstance(key, str)}


def _built(header: str) -> object:
    loader: Any = _LOADER(header)
    try:
        found: object = loader.get_single_data()
        return found
    finally:
        loader.dispose()


def _guard(header: str) -> None:
    """Refuse anchors and aliases (which make small texts huge), tags and deep nesting before anything is built."""
    depth = 0
    for count, event in enumerate(yaml.parse(header, Loader=_LOADER)):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise FrontMatterError("anchors and aliases are not allowed")
        if getattr(event, "tag", None) not in (None, "!"):
            raise FrontMatterError("tags are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > MAX_EVENTS:
            raise FrontMatterError("nested too deeply or too long")


def word(front: Front, *keys: str) -> str:
    """The first of these keys that holds a text, on one line; "" when none does."""
    for key in keys:
        value = front.get(key)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())
    return ""


def words(front: Front, *keys: str) -> tuple[str, ...]:
    """All texts under these keys: lists as they are, a text split at its commas."""
    found: list[str] = []
    for key in keys:
        value = front.get(key)
        items = value if isinstance(value, list) else str(value or "").split(",") if not isinstance(value, dict) else []
        found += [" ".join(item.split()) for item in items if isinstance(item, str) and item.strip()]
    return tuple(dict.fromkeys(found))

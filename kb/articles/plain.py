"""The words of a Markdown text, for the search: its signs are neither searched nor shown in a snippet."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t>]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_LINK = re.compile(r"!?\[((?:\\.|[^\[\]\\])*+)\]\([^()\s]*+\)")
_LINE = re.compile(r"^[ \t]*(?:(?:#{1,6}|>|[-*+]|[0-9]{1,3}[.)])[ \t]+|>[ \t]*$|[|:\- \t]{5,}$)+", re.MULTILINE)
_SIGNS = re.compile(r"\*\*|`+|(?<![\w*\\])[*_](?=\w)|(?<=[\w.!?…])[*_](?![\w*])")
_CELL = re.compile(r"(?<!\\)[ \t]*\|[ \t]*")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


def plain(text: str) -> str:
    """Links become their words; marks of lists, headings, quotations and emphasis go. Never longer than ``text``."""
    text = _LINK.sub(r"\1", _FENCE.sub("", text))
    text = _CELL.sub(" ", _LINE.sub("", text))
    return _ESCAPED.sub(r"\1", _SIGNS.sub("", text)).strip()

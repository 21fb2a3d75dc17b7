"""Where the code of a Markdown text is, so that all the rest can be changed without touching it (CommonMark §4.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})")
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
ITEM = re.compile(r"^ {0,3}(?:[-*+]|[0-9]{1,9}[.)])(?:\s|$)")
SPAN_LIMIT = 20_000  # characters of a stretch in which code spans are looked for


def lines_and_code(lines: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it belongs to a fenced or an indented block of code."""
    fence, in_list, blank = "", False, True
    for line in lines:
        found = FENCE.match(line)
        if fence:
            yield line, True
            if found and found[1][0] == fence[0] and len(found[1]) >= len(fence) and _closes(line):
                fence = ""
            continue
        if found:
            fence = found[1]
            yield line, True
            continue
        indented = line.startswith(("    ", "\t")) and bool(line.strip())
        in_list = in_list if indented or not line.strip() else _stays_list(line, in_list)
        yield line, indented and not in_list and blank
        blank = not line.strip() or (indented and not in_list and blank)


def _closes(line: str) -> bool:
    return not line.strip(" \t>`~")


def _stays_list(line: str, in_list: bool) -> bool:
    return bool(ITEM.match(line)) or (in_list and line.startswith(" "))


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text with ``change`` applied to every stretch that is not code, neither in a block nor in a span."""
    parts: list[str] = []
    held: list[str] = []
    for line, code in lines_and_code(text.split("\n")):
        if not code:
            held.append(line)
            continue
        parts += _prose(held, change)
        held = []
        parts.append(line)
    parts += _prose(held, change)
    return "\n".join(parts)


def _prose(lines: list[str], change: Callable[[str], str]) -> list[str]:
    if not lines:
        return []
    paragraphs = "\n".join(lines).split("\n\n")
    return ["\n\n".join(_spared(one, change) if one.strip() else one for one in paragraphs)]


def _spared(text: str, change: Callable[[str], str]) -> str:
    """``change`` sees a number between NULs for a code span, so that a link whose words hold code is seen whole."""
    if len(text) > SPAN_LIMIT:
        return change(text)
    spans: list[str] = []

    def keep(match: re.Match[str]) -> str:
        spans.append(match[0])
        return f"\x00{len(spans) - 1}\x00"

    changed = change(SPAN.sub(keep, text))
    return re.sub(r"\x00(\d+)\x00", lambda match: spans[int(match[1])], changed)

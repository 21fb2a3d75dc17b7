"""Notes and tabs of other Markdown dialects written as plain quotations, with their own words as the heading."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kb.imports.formats.fences import lines_and_code

MKDOCS = re.compile(r"^([ \t]*)(?:!!!|\?\?\?\+?)[ \t]+(.*?)[ \t]*$")
TAB = re.compile(r"^([ \t]*)===\+?!?[ \t]+[\"“«](.*?)[\"”»][ \t]*$")
MICROSOFT = re.compile(r"^([ \t]*>[ \t]*)\[!\s*([A-ZÀ-Ý]+)\][ \t]*(.*)$")
VIDEO = re.compile(r"^([ \t>]*)\[!VIDEO\s+([^\]\s]+)[^\]]*\][ \t]*$", re.IGNORECASE)
DEEPEST = 8  # notes inside notes; a hostile text is left as it is from there on
LABELS: Mapping[str, Mapping[str, str]] = {
    "fr": {
        "note": "Remarque",
        "tip": "Conseil",
        "hint": "Conseil",
        "important": "Important",
        "warning": "Avertissement",
        "caution": "Attention",
        "danger": "Danger",
        "info": "Information",
        "question": "Question",
    },
    "en": {},
}


def label(kind: str, locale: str) -> str:
    """The heading of a note that has none of its own."""
    return LABELS.get(locale, {}).get(kind.lower(), kind.capitalize())


def microsoft(text: str, locale: str) -> str:
    """``> [!NOTE]`` and ``> [!VIDEO address]`` of Microsoft's and GitHub's Markdown."""
    return "\n".join(line if code else _microsoft_line(line, locale) for line, code in lines_and_code(text.split("\n")))


def _microsoft_line(line: str, locale: str) -> str:
    video = VIDEO.match(line)
    if video:
        return f"{video[1]}[{'Vidéo' if locale == 'fr' else 'Video'}]({video[2]})"
    note = MICROSOFT.match(line)
    if not note:
        return line
    head = f"{note[1]}**{label(note[2], locale)}**"
    return "\n".join((head, note[1].rstrip(), note[1] + note[3])) if note[3] else f"{head}\n{note[1].rstrip()}"


def mkdocs(text: str, locale: str) -> str:
    """``!!! note "Title"``, ``??? note`` and ``=== "Tab"`` of MkDocs, with the indented text below them."""
    return "\n".join(_blocks(text.split("\n"), locale, DEEPEST))


def _blocks(lines: Sequence[str], locale: str, depth: int) -> list[str]:
    out: list[str] = []
    at = 0
    marked = _fenced(lines)
    while at < len(lines):
        note, tab = (None, None) if marked[at] or not depth else (MKDOCS.match(lines[at]), TAB.match(lines[at]))
        found = note or tab
        at += 1
        if found is None:
            out.append(lines[at - 1])
            continue
        body, at = _body(lines, at, len(found[1].expandtabs(4)))
        inner = _blocks(body, locale, depth - 1)
        out += _note(found[1], found[2], inner, locale) if note else _tab(found[1], found[2], inner)
    return out


def _fenced(lines: Sequence[str]) -> list[bool]:
    """Only fences count here: the text of a note is indented like code and is not code."""
    inside, fence = [], ""
    for line in lines:
        mark = re.match(r"^[ \t]*(`{3,}|~{3,})", line)
        if fence:
            inside.append(True)
            fence = "" if mark and mark[1].startswith(fence) and not line.strip(" \t`~") else fence
            continue
        fence = mark[1] if mark else ""
        inside.append(bool(mark))
    return inside


def _body(lines: Sequence[str], at: int, indent: int) -> tuple[list[str], int]:
    """The lines that belong to a note at ``indent``, moved left, and where the text goes on.

    Four more spaces are asked for; a text whose first line has fewer is still a text of the note.
    """
    body: list[str] = []
    least = min(indent + 4, max(indent + 1, next((_indent(line) for line in lines[at:] if line.strip()), 0)))
    while at < len(lines):
        line = lines[at].expandtabs(4)
        if line.strip() and _indent(line) < least:
            break
        body.append(line[min(indent + 4, _indent(line)) :])
        at += 1
    while body and not body[-1].strip():
        body.pop()
        at -= 1
    while body and not body[0].strip():
        body.pop(0)
    return body, at


def _indent(line: str) -> int:
    line = line.expandtabs(4)
    return len(line) - len(line.lstrip(" "))


def _note(indent: str, head: str, body: Sequence[str], locale: str) -> list[str]:
    kind, _, rest = head.partition(" ")
    title = rest.strip().strip('"“”').strip() if rest else ""
    shown = title.lstrip(": ").strip("«» \u00a0") or label(kind, locale)
    quoted = [f"{indent}> {line}".rstrip() for line in body]
    return [f"{indent}> **{shown}**", f"{indent}>", *quoted, ""]


def _tab(indent: str, head: str, body: Sequence[str]) -> list[str]:
    return [f"{indent}**{head.strip()}**", "", *(f"{indent}{line}" if line else "" for line in body), ""]

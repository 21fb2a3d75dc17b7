"""The few HTML tags that Markdown files hold, made Markdown or words; everything else between < and > stays text."""

from __future__ import annotations

import html
import re

from kb.imports.formats.fences import outside_code

ANCHOR = re.compile(r"<a\s+(?:name|id)=\"[^\"<>]*\"\s*/?>\s*(?:</a>)?", re.IGNORECASE)
LINK = re.compile(r"<a\s[^<>]*?href=\"([^\"<>]*)\"[^<>]*>([^<>]*)</a>", re.IGNORECASE)
BREAK = re.compile(r"</?br\s*/?>", re.IGNORECASE)
PICTURE = re.compile(r"<img\s[^<>]*>", re.IGNORECASE)
ALTERNATIVE = re.compile(r"\salt=\"([^\"]*)\"", re.IGNORECASE)
PLAIN_TAGS = re.compile(
    r"</?(?:a|sup|sub|small|center|div|span|p|b|i|u|em|strong|kbd|font|details|summary|figure)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
TRIPLE_IMAGE = re.compile(r"^[ \t]*:::image\b([^\n]*?):::[ \t]*$", re.MULTILINE)
TRIPLE = re.compile(r"^[ \t]*:::[ \t]*\w[^\n]*$", re.MULTILINE)
INCLUDE = re.compile(r"\[!INCLUDE\s*\[([^\]]*)\]\([^)]*\)\]", re.IGNORECASE)
TRIPLE_ALTERNATIVE = re.compile(r"alt-text=\"([^\"]*)\"")


def plain(text: str) -> str:
    """The text without comments and tags; line breaks become spaces, pictures their alternative text."""
    return outside_code(text, _change)


def _change(part: str) -> str:
    part = _without_comments(part)
    part = ANCHOR.sub("", part)
    part = LINK.sub(lambda found: f"[{found[2]}]({html.unescape(found[1])})" if found[2].strip() else "", part)
    part = PICTURE.sub(lambda found: _alternative(ALTERNATIVE, found[0]), part)
    return PLAIN_TAGS.sub("", BREAK.sub(" ", part))


def _without_comments(part: str) -> str:
    kept, at = [], 0
    while (begin := part.find("<!--", at)) >= 0 and (end := part.find("-->", begin + 4)) >= 0:
        kept.append(part[at:begin])
        at = end + 3
    return "".join((*kept, part[at:]))


def microsoft(text: str) -> str:
    """Microsoft's own signs: ``:::image:::``, ``:::zone`` lines, ``[!INCLUDE [title](path)]``."""

    def change(part: str) -> str:
        part = TRIPLE_IMAGE.sub(lambda found: _alternative(TRIPLE_ALTERNATIVE, found[1]), part)
        return INCLUDE.sub(lambda found: found[1], TRIPLE.sub("", part))

    return outside_code(text, change)


def _alternative(expression: re.Pattern[str], tag: str) -> str:
    found = expression.search(tag)
    return html.unescape(found[1]) if found else ""

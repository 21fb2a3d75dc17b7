"""The Markdown that bodies are written in: CommonMark with tables, no HTML, only the addresses ``links`` allows."""

from __future__ import annotations

from markdown_it import MarkdownIt

from procedures.format.blocks import BLOCK_RULES_OFF
from procedures.format.links import is_link


def make() -> MarkdownIt:
    markdown = MarkdownIt("js-default", {"html": False, "linkify": False}).disable(list(BLOCK_RULES_OFF))
    markdown.validateLink = is_link  # type: ignore[method-assign]  # the library's documented way
    return markdown

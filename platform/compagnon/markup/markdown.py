"""The Markdown that bodies are written in: CommonMark with tables, no HTML, only the addresses ``links`` allows."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML

from compagnon.markup.links import is_link

# Reference links and underlined headings would let one block change the meaning of another: there are neither.
BLOCK_RULES_OFF = ("reference", "lheading")


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        return is_link(url)


def make(renderer: type[RendererHTML] = RendererHTML) -> MarkdownIt:
    markdown = _Markdown("js-default", {"html": False, "linkify": False}, renderer_cls=renderer)
    return markdown.disable(list(BLOCK_RULES_OFF))

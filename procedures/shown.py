"""What templates of procedures and runs call to show a text's parts as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from compagnon.markup.html import Target, inline_html, markdown_html
from procedures.format import html
from procedures.format.model import Block, Code


class Html:
    """Blocks and lines as safe HTML, with the values of a run's parameters when there are some."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._target = Target(values=dict(values or {}))

    def blocks(self, blocks: Iterable[Block]) -> Markup:
        return html.blocks_html(blocks, self._target)

    def block(self, block: Block) -> Markup:
        return html.block_html(block, self._target)

    def inline(self, text: str | None) -> Markup:
        return inline_html(text or "", self._target)

    def markdown(self, text: str | None) -> Markup:
        return markdown_html(text or "", self._target)

    def script(self, code: Code) -> str:
        """A command as it is copied: with the parameters filled in where that is safe."""
        return html.filled_script(code, self._target.values)

    def is_code(self, block: Block) -> bool:
        return isinstance(block, Code)

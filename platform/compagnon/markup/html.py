"""Markdown → HTML that runs nothing.

Two walls, each enough alone: markdown-it without HTML and with our own list of addresses, and nh3 over what it gives.
The page's CSP is the third.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import nh3
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from compagnon.markup import markdown
from compagnon.markup.links import is_local, procedure_target
from compagnon_agent.protocol.quoting import PLACEHOLDER

_ALIGNED = {"text-align:center": "text-center", "text-align:right": "text-end", "text-align:left": "text-start"}

_TABLE = {"table", "tbody", "td", "th", "thead", "tr"}
_UNBROKEN = re.compile(r" (?=[?!:;»])|(?<=«) ")  # French puts a space there, and no line may end at it
_PROSE = {"a", "blockquote", "br", "code", "em", "h4", "h5", "h6", "hr", "img", "li", "ol", "p", "pre", "s", "span"}

_CLEANER = nh3.Cleaner(
    tags={"strong", "ul"} | _PROSE | _TABLE,
    clean_content_tags={"script", "style"},
    attributes={"*": set(), "a": {"href"}, "img": {"src", "alt"}, "ol": {"start"}},
    tag_attribute_values={"img": {"loading": {"lazy"}}},
    allowed_classes={
        "table": {"table", "table-sm"}, "img": {"img-fluid", "rounded"}, "th": set(_ALIGNED.values()),
        "td": set(_ALIGNED.values()), "span": {"procedure-value"}, "code": {"procedure-value"},
    },
    url_schemes={"http", "https", "mailto", "tel"},
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where things are. ``procedure_url(code)`` gives a page's address; ``media_base`` stands before ``media/…``.

    ``values`` fill in ``{{name}}``: in text as they are, in commands as one quoted word.
    """

    procedure_url: Callable[[str], str] = field(default=lambda code: f"/procedures/{code}")
    media_base: str = "/"
    values: Mapping[str, str] = field(default_factory=dict)


DEFAULT = Target()


def markdown_html(text: str, target: Target = DEFAULT) -> Markup:
    return _clean(_MARKDOWN.render(text, {"target": target}))


def inline_html(text: str, target: Target = DEFAULT) -> Markup:
    """One line (``info``, ``phone``, ``stepresult``, a title) without a paragraph around it."""
    return _clean(_MARKDOWN.renderInline(text, {"target": target}))


def _clean(html: str) -> Markup:
    return Markup(_CLEANER.clean(html))  # noqa: S704 - this is where HTML becomes safe


class _Renderer(RendererHTML):
    """markdown-it's own renderer, but for addresses, pictures, tables and values."""

    def link_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[index]
        found = procedure_target(str(token.attrGet("href") or ""))
        if found:
            anchor = f"#{found[1]}" if found[1] else ""
            token.attrSet("href", _target(env).procedure_url(found[0]) + anchor)
        return self.renderToken(tokens, index, options, env)

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[index]
        source, words = str(token.attrGet("src") or ""), self.renderInlineAsText(token.children, options, env)
        if not words.strip() or not is_local(source):
            return str(escape(f"![{words}]({source})"))
        address = source if source.startswith("/") else _target(env).media_base + source
        return str(
            Markup('<img src="{src}" alt="{alt}" class="img-fluid rounded" loading="lazy">').format(
                src=address, alt=words
            )
        )

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        tokens[index].attrSet("class", "table table-sm")
        return self.renderToken(tokens, index, options, env)

    def th_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return self._cell(tokens, index, options, env)

    def td_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return self._cell(tokens, index, options, env)

    def _cell(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        style = tokens[index].attrs.pop("style", None)
        if style in _ALIGNED:
            tokens[index].attrSet("class", _ALIGNED[str(style)])
        return self.renderToken(tokens, index, options, env)

    def text(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return _with_values(_UNBROKEN.sub("\u00a0", tokens[index].content), "span", _target(env).values)

    def code_inline(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        values = _target(env).values
        content = PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), tokens[index].content)
        return f"<code>{escape(content)}</code>"

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return f"<pre><code>{escape(tokens[index].content)}</code></pre>\n"


def _with_values(content: str, tag: str, values: Mapping[str, str]) -> str:
    """Escaped text in which each known ``{{name}}`` is its value, marked as such."""
    parts = PLACEHOLDER.split(content)  # text, name, text, name, … text
    pieces = [escape(part) if number % 2 == 0 else _value(part, tag, values) for number, part in enumerate(parts)]
    return "".join(map(str, pieces))


def _value(name: str, tag: str, values: Mapping[str, str]) -> Markup:
    shown = values.get(name, "{{" + name + "}}")
    return Markup("<{tag} class='procedure-value'>{shown}</{tag}>").format(tag=tag, shown=shown)


def _target(env: Mapping[str, Any]) -> Target:
    return cast("Target", env.get("target", DEFAULT))


_MARKDOWN = markdown.make(_Renderer)

"""Blocks → HTML that runs nothing.

Three walls, each enough alone: markdown-it without HTML and with our own list of addresses, nh3 over what it gives, and
code and notes wrapped in tags that only this module writes. The page's CSP is the fourth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, cast

import nh3
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from compagnon.i18n import N_, gettext
from compagnon_agent.protocol.parameters import ParameterError, substitute
from compagnon_agent.protocol.quoting import PLACEHOLDER
from procedures.format import markdown, texts
from procedures.format.links import is_local, procedure_target
from procedures.format.model import Block, Code, Note, NoteKind, Text

_ALERTS: Mapping[NoteKind, tuple[str, str, str]] = {
    NoteKind.NOTE: ("info", "info-circle", N_("Note")),
    NoteKind.TIP: ("success", "bulb", N_("Tip")),
    NoteKind.IMPORTANT: ("primary", "message-report", N_("Important")),
    NoteKind.WARNING: ("warning", "alert-triangle", N_("Warning")),
    NoteKind.CAUTION: ("danger", "alert-octagon", N_("Caution")),
}
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


def blocks_html(blocks: Iterable[Block], target: Target = DEFAULT) -> Markup:
    """A body as HTML. Whatever the blocks hold, nothing in it can run or load from elsewhere."""
    parts: list[Markup] = []
    for is_text, run in groupby(blocks, key=lambda block: isinstance(block, Text)):
        if is_text:  # neighbours at once: they are cut where Markdown cuts them anyway, and it is several times faster
            parts.append(markdown_html("\n\n".join(texts.blocks(tuple(run))), target))
        else:
            parts += [block_html(block, target) for block in run]
    return Markup("\n").join(parts)


def block_html(block: Block, target: Target = DEFAULT) -> Markup:
    match block:
        case Code():
            return code_html(block, target)
        case Note():
            return _note_html(block, target)
        case Text():
            return markdown_html(block.markdown, target)


def markdown_html(text: str, target: Target = DEFAULT) -> Markup:
    return _clean(_MARKDOWN.render(text, {"target": target}))


def inline_html(text: str, target: Target = DEFAULT) -> Markup:
    """One line (``info``, ``phone``, ``stepresult``, a title) without a paragraph around it."""
    return _clean(_MARKDOWN.renderInline(text, {"target": target}))


def _clean(html: str) -> Markup:
    return Markup(_CLEANER.clean(html))  # noqa: S704 - this is where HTML becomes safe


def code_html(code: Code, target: Target = DEFAULT) -> Markup:
    """A ``<pre>`` that the keyboard can scroll, with its language and who runs it as data."""
    return Markup(
        '<pre class="procedure-code" tabindex="0" data-language="{language}" data-run-on="{run_on}">'
        "<code>{script}</code></pre>"
    ).format(language=code.language, run_on=str(code.run_on), script=filled_script(code, target.values))


def filled_script(code: Code, values: Mapping[str, str]) -> str:
    """The script as it will run with ``values``; as written when they are not all there or cannot be inserted."""
    try:
        return substitute(code.script, values, shell=code.language)
    except ParameterError:
        return code.script


def _note_html(note: Note, target: Target) -> Markup:
    colour, icon, label = _ALERTS[note.kind]
    return Markup(
        '<div class="alert alert-{colour}" role="note"><div class="alert-title">'
        '<i class="ti ti-{icon}" aria-hidden="true"></i> {label}</div>{body}</div>'
    ).format(colour=colour, icon=icon, label=gettext(label), body=markdown_html(note.markdown, target))


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

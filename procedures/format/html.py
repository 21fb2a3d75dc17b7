"""Blocks → HTML that runs nothing.

Markdown becomes safe in :mod:`compagnon.markup.html`; code and notes are wrapped in tags that only this module writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from markupsafe import Markup

from compagnon.i18n import N_, gettext
from compagnon.markup.html import DEFAULT, Target, markdown_html
from compagnon_agent.protocol.parameters import ParameterError, substitute
from procedures.format import texts
from procedures.format.model import Block, Code, Note, NoteKind, Text

_ALERTS: Mapping[NoteKind, tuple[str, str, str]] = {
    NoteKind.NOTE: ("info", "info-circle", N_("Note")),
    NoteKind.TIP: ("success", "bulb", N_("Tip")),
    NoteKind.IMPORTANT: ("primary", "message-report", N_("Important")),
    NoteKind.WARNING: ("warning", "alert-triangle", N_("Warning")),
    NoteKind.CAUTION: ("danger", "alert-octagon", N_("Caution")),
}


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

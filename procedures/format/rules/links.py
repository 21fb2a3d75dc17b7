"""Pictures can be seen by everyone, links lead somewhere safe."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it.token import Token

from compagnon.i18n import N_
from compagnon.markup import markdown
from compagnon.markup.links import is_local, procedure_target
from procedures.format.model import Position
from procedures.format.rules.case import Case, Findings, prose, warn

_MARKDOWN = markdown.make()
_LEFT_OVER = re.compile(r"!?\[[^\[\]]{0,500}\]\([^)\n]{0,500}\)|<[a-z][a-z0-9+.-]{0,30}:[^<>\s]{0,500}>", re.IGNORECASE)


def links(case: Case) -> Findings:
    for step, block in prose(case.procedure):
        if "](" not in block.markdown and "<" not in block.markdown:
            continue
        for token, at in _inline(block.markdown, block.at):
            yield from _token(case, step, token, at)


def _inline(text: str, at: Position) -> Iterator[tuple[Token, Position]]:
    for token in _MARKDOWN.parse(text):
        if token.type == "inline":
            where = Position(at.line + (token.map or [0])[0])
            yield from ((child, where) for child in token.children or ())


def _token(case: Case, step: str | None, token: Token, at: Position) -> Findings:
    if token.type == "image":
        yield from _picture(step, token, at)
    elif token.type == "link_open":
        yield from _procedure(case, step, str(token.attrGet("href") or ""), at)
    elif token.type == "text" and (match := _LEFT_OVER.search(token.content)):
        yield warn(
            "link",
            at,
            N_("This address is not allowed: “{text}”."),
            N_("Link to http, https, mailto, tel or procedure:code."),
            step=step,
            text=match[0],
        )


def _picture(step: str | None, token: Token, at: Position) -> Findings:
    if not token.content.strip():
        yield warn(
            "picture",
            at,
            N_("This picture has no alternative text."),
            N_("Say what it shows between the square brackets."),
            step=step,
        )
    if not is_local(str(token.attrGet("src") or "")):
        yield warn(
            "picture",
            at,
            N_("This picture does not come from this server."),
            N_("Add the picture to the procedure, and name it “media/…”."),
            step=step,
        )


def _procedure(case: Case, step: str | None, address: str, at: Position) -> Findings:
    target, known = procedure_target(address), case.known.procedures
    if target and known is not None and target[0] not in known:
        yield warn(
            "reference",
            at,
            N_("The procedure “{code}” does not exist."),
            N_("Correct the code, or publish that procedure first."),
            step=step,
            code=target[0],
        )

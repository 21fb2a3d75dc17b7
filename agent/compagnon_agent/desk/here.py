"""What a helper does on its person's screen, by kind, in :data:`HANDLERS`: others add theirs there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from .. import banner, chatting, consent
from ..protocol.wire import JSON, record
from ..question import Question
from ..screen import program
from .channel import Exchange, Handler


async def ask(exchange: Exchange) -> None:
    """The consent dialog. Payload: a :class:`Question`; one event: ``granted`` true, false or null, ``reason``."""
    question = record(Question).read(exchange.payload, "")
    reply = await consent.dialog(question) if consent.has_display() else consent.UNASKED
    await exchange.send({"granted": reply.granted, "reason": reply.reason})


async def show_banner(exchange: Exchange) -> None:
    """The banner with Stop, until the exchange ends. Payload: ``member``, ``ticket``; an event when Stop is pressed.

    With ``watch`` in the payload: also an event when a link is wanted, which the core answers with one.
    """
    if not consent.has_display():
        return

    async def watch() -> Mapping[str, JSON]:
        await exchange.send({"watch": True})
        return (await exchange.receive()).payload

    offered = exchange.payload.get("watch") is True
    ticket = exchange.payload.get("ticket")
    words = str(exchange.payload.get("words", banner.WORKS))
    text = banner.sentence(str(exchange.payload.get("member", "")), ticket if isinstance(ticket, int) else 0, words)
    if await banner.window(text, lower=words == banner.USES, watch=watch if offered else None):
        await exchange.send({"stop": True})
    await asyncio.Event().wait()  # the core ends it


HANDLERS: Mapping[str, Handler] = {
    "ask": ask,
    "banner": show_banner,
    "chat": chatting.for_the_core,
    "screen": program.for_the_core,
}

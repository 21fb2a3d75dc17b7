"""While a session is open, it shows: a small window that stays on top, with Stop; otherwise a line in the terminal.

Where the server can give a link to the session, the window also has a button that shows its address, to be opened on a
phone. The window itself is :mod:`.banner_window`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

from .consent import has_display
from .desk.channel import Ended, Exchange
from .desk.core import Desk, NoDesk
from .protocol.watch import WatchProblem
from .protocol.wire import JSON
from .question import clean
from .words import own_locale, say

AGAIN = 2.0
"""Seconds until a banner that went away (its helper ended, somebody else sits down) is shown anew."""

Watch: TypeAlias = Callable[[], Awaitable[Mapping[str, JSON]]]
"""Asks for a link to the session: ``address`` and ``seconds``, or ``problem`` (a :class:`WatchProblem`)."""

WORKS = "{member} works on this computer (ticket {ticket})."
USES = "{member} uses the mouse and keyboard of this computer (ticket {ticket})."
HOLDS = (
    "Type this address into the browser of your phone, or copy it. Until {time}, whoever has it sees what is done in "
    "this session and can stop it, but cannot type."
)
PROBLEMS: Mapping[str, str] = {
    WatchProblem.OVER: "This session cannot be watched any more.",
    WatchProblem.OFTEN: "A link was asked for too often: try again in a minute.",
    WatchProblem.LATER: "No link can be had just now: try again in a moment.",
}


def sentence(member: str, ticket_id: int, words: str = WORKS) -> str:
    """What the banner says, in the language of whoever runs this process. Other ``words`` than ours are not said."""
    known = words if words in (WORKS, USES) else WORKS
    return say(own_locale(), known, member=clean(member, 120), ticket=ticket_id)


def texts(text: str, *, lower: bool, watch: bool) -> dict[str, JSON]:
    """What the window is given first."""
    locale = own_locale()
    shown: dict[str, JSON] = {"text": text, "stop": say(locale, "Stop"), "lower": lower}
    if watch:
        shown |= {"watch": say(locale, "Watch on my phone"), "copy": say(locale, "Copy")}
        shown["copied"] = say(locale, "Copied")
    return shown


def link_words(link: Mapping[str, JSON]) -> dict[str, JSON]:
    """What the window shows of an answer, in the language of whoever runs this process."""
    address, seconds = link.get("address"), link.get("seconds")
    if not (isinstance(address, str) and address and isinstance(seconds, int)):
        problem = PROBLEMS.get(str(link.get("problem")), PROBLEMS[WatchProblem.LATER])
        return {"note": say(own_locale(), problem)}
    until = datetime.now() + timedelta(seconds=min(seconds, 86_400))
    return {"address": address[:300], "note": say(own_locale(), HOLDS, time=f"{until:%H:%M}")}


async def window(text: str, *, lower: bool = False, watch: Watch | None = None) -> bool:
    """Show it (``lower``: below another) until Stop is pressed (True), it fails (False) or the task is cancelled."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "compagnon_agent.banner_window",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    asking: asyncio.Task[None] | None = None
    try:
        await _write(process, texts(text, lower=lower, watch=watch is not None))
        assert process.stdout is not None
        while (pressed := (await process.stdout.readline()).strip()) != b"stop":
            if not pressed:
                return False
            if watch and (asking is None or asking.done()):
                asking = asyncio.create_task(_show_link(process, watch))  # beside: Stop is heard meanwhile
        return True
    finally:
        if asking:
            asking.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _show_link(process: asyncio.subprocess.Process, watch: Watch) -> None:
    try:
        link = await watch()
    except (Ended, OSError):
        link = {"problem": WatchProblem.LATER}
    await _write(process, link_words(link))


async def _write(process: asyncio.subprocess.Process, shown: Mapping[str, JSON]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # it has gone
        process.stdin.write(json.dumps(shown).encode() + b"\n")
        await process.stdin.drain()


class Banner:
    """``async with Banner(…)``: shown inside. ``on_stop`` is called when Stop is pressed."""

    def __init__(
        self,
        member: str,
        ticket_id: int,
        on_stop: Callable[[], object],
        desk: Desk,
        *,
        words: str = WORKS,
        watch: Watch | None = None,
    ) -> None:
        self._member = member
        self._words = words
        self._ticket_id = ticket_id
        self._on_stop = on_stop
        self._desk = desk
        self._watch = watch
        self._window: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Banner:
        hint = say(own_locale(), "To stop it: compagnon-agent stop-session")
        print(f"● {sentence(self._member, self._ticket_id, self._words)} {hint}", flush=True)
        self._window = asyncio.create_task(self._here() if has_display() else self._at_the_desk())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._window:
            self._window.cancel()
            await asyncio.gather(self._window, return_exceptions=True)
        print("○ " + say(own_locale(), "The remote session is over."), flush=True)

    async def _here(self) -> None:
        text = sentence(self._member, self._ticket_id, self._words)
        if await window(text, lower=self._words != WORKS, watch=self._watch):
            self._on_stop()

    async def _at_the_desk(self) -> None:
        """On the screen of whoever is there now, as often as that changes."""
        stopped = False
        while not stopped:
            stopped = await self._shown_by_helper()
            await asyncio.sleep(0 if stopped else AGAIN)
        self._on_stop()

    async def _shown_by_helper(self) -> bool:
        payload: dict[str, JSON] = {"member": self._member, "ticket": self._ticket_id, "words": self._words}
        payload["watch"] = self._watch is not None
        try:
            async with self._desk.open("banner", payload) as (exchange, _):
                return await self._hear(exchange)
        except (NoDesk, Ended):
            return False

    async def _hear(self, exchange: Exchange) -> bool:
        """Until Stop. Raises Ended."""
        asking: asyncio.Task[None] | None = None
        try:
            while True:
                pressed = (await exchange.receive()).payload
                if pressed.get("stop") is True:
                    return True
                if self._watch and pressed.get("watch") is True and (asking is None or asking.done()):
                    asking = asyncio.create_task(self._tell_link(exchange, self._watch))
        finally:
            if asking:
                asking.cancel()

    async def _tell_link(self, exchange: Exchange, watch: Watch) -> None:
        link = await watch()
        with contextlib.suppress(Ended, OSError):
            await exchange.send(link)

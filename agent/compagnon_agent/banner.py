"""While a session is open, it shows: a small window that stays on top, with Stop; otherwise a line in the terminal.

``python -m compagnon_agent.banner`` is the window: its text is the first line of standard input; it prints ``stop``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable

from .consent import has_display
from .desk.core import Desk, NoDesk
from .protocol.wire import JSON
from .question import clean
from .words import own_locale, say

AGAIN = 2.0
"""Seconds until a banner that went away (its helper ended, somebody else sits down) is shown anew."""


WORKS = "{member} works on this computer (ticket {ticket})."
USES = "{member} uses the mouse and keyboard of this computer (ticket {ticket})."


def sentence(member: str, ticket_id: int, words: str = WORKS) -> str:
    """What the banner says, in the language of whoever runs this process. Other ``words`` than ours are not said."""
    known = words if words in (WORKS, USES) else WORKS
    return say(own_locale(), known, member=clean(member, 120), ticket=ticket_id)


async def window(text: str, *, lower: bool = False) -> bool:
    """Show it (``lower``: below another) until Stop is pressed (True), it fails (False) or the task is cancelled."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "compagnon_agent.banner",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await process.communicate(f"{text}\n{say(own_locale(), 'Stop')}\n{int(lower)}\n".encode())
        return output.strip() == b"stop"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


class Banner:
    """``async with Banner(…)``: shown inside. ``on_stop`` is called when Stop is pressed."""

    def __init__(
        self, member: str, ticket_id: int, on_stop: Callable[[], object], desk: Desk, *, words: str = WORKS
    ) -> None:
        self._member = member
        self._words = words
        self._ticket_id = ticket_id
        self._on_stop = on_stop
        self._desk = desk
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
        if await window(text, lower=self._words != WORKS):
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
        try:
            answer, _ = await self._desk.request("banner", payload)
        except NoDesk:
            return False
        return answer.get("stop") is True


def main() -> None:
    import tkinter
    from tkinter import ttk

    text, stop, lower = (sys.stdin.readline().strip() for _ in range(3))
    root = tkinter.Tk()
    root.title("Compagnon")
    root.attributes("-topmost", True)
    root.geometry("+20+90" if lower == "1" else "+20+20")
    root.protocol("WM_DELETE_WINDOW", lambda: None)  # it stays as long as the session does
    frame = ttk.Frame(root, padding=10)
    frame.pack()

    def pressed() -> None:
        sys.stdout.write("stop\n")
        root.destroy()

    ttk.Label(frame, text=text, wraplength=360).pack(side="left", padx=(0, 12))
    ttk.Button(frame, text=stop, command=pressed).pack(side="right")
    root.mainloop()


if __name__ == "__main__":
    main()

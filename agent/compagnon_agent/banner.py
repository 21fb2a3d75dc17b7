"""While a session is open, it shows: a small window that stays on top, with Stop; otherwise a line in the terminal.

``python -m compagnon_agent.banner`` is the window: its text is the first line of standard input; it prints ``stop``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable

from .consent import has_display
from .question import clean
from .words import own_locale, say


class Banner:
    """``async with Banner(…)``: shown inside. ``on_stop`` is called when Stop is pressed."""

    def __init__(self, member: str, ticket_id: int, on_stop: Callable[[], object]) -> None:
        self._locale = own_locale()
        self._text = say(
            self._locale,
            "{member} works on this computer (ticket {ticket}).",
            member=clean(member, 120),
            ticket=ticket_id,
        )
        self._on_stop = on_stop
        self._window: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Banner:
        hint = say(self._locale, "To stop it: compagnon-agent stop-session")
        print(f"● {self._text} {hint}", flush=True)
        if has_display():
            self._window = asyncio.create_task(self._show())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._window:
            self._window.cancel()
            await asyncio.gather(self._window, return_exceptions=True)
        print("○ " + say(self._locale, "The remote session is over."), flush=True)

    async def _show(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "compagnon_agent.banner",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            output, _ = await process.communicate(f"{self._text}\n{say(self._locale, 'Stop')}\n".encode())
            if output.strip() == b"stop":
                self._on_stop()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def main() -> None:
    import tkinter
    from tkinter import ttk

    text, stop = sys.stdin.readline().strip(), sys.stdin.readline().strip()
    root = tkinter.Tk()
    root.title("Compagnon")
    root.attributes("-topmost", True)
    root.geometry("+20+20")
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

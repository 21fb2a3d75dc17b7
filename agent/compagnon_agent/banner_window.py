"""``python -m compagnon_agent.banner_window``: the banner, in a process of its own.

Standard input: a JSON object a line: first the texts (:func:`.banner.texts`), then what becomes of a wish to watch:
``{"address": …, "note": …}`` or ``{"note": …}``. Standard output, a line each: ``stop``, ``watch``. The end of its
input closes it.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import tkinter
from collections.abc import Mapping
from tkinter import ttk

LINE_LIMIT = 16 * 1024
LOOK_EVERY = 100  # milliseconds
WIDEST = 64  # characters of an address that are seen at once


class BannerWindow:
    """Stop is always there; the address shows below it once it was asked for, and hides at the next press."""

    def __init__(self, texts: Mapping[str, object]) -> None:
        self._texts = {name: str(text) for name, text in texts.items()}
        self._arrived: queue.SimpleQueue[Mapping[str, object] | None] = queue.SimpleQueue()
        self.root = tkinter.Tk()
        self.root.title("Compagnon")
        self.root.attributes("-topmost", True)
        self.root.geometry("+20+90" if texts.get("lower") else "+20+20")
        self.root.protocol("WM_DELETE_WINDOW", lambda: None)  # it stays as long as the session does
        self._body = ttk.Frame(self.root, padding=10)
        self._body.pack()
        self._build_row()
        self._below: ttk.Frame | None = None
        threading.Thread(target=self._read, daemon=True).start()
        self.root.after(LOOK_EVERY, self._look)

    def _build_row(self) -> None:
        row = ttk.Frame(self._body)
        row.pack(fill="x")
        ttk.Label(row, text=self._texts["text"], wraplength=360).pack(side="left", padx=(0, 12))
        ttk.Button(row, text=self._texts["stop"], command=self._stop).pack(side="right")
        self._watch: ttk.Button | None = None
        if self._texts.get("watch"):
            self._watch = ttk.Button(row, text=self._texts["watch"], command=self._pressed)
            self._watch.pack(side="right", padx=(0, 8))

    def _stop(self) -> None:
        _tell("stop")
        self.root.destroy()

    def _pressed(self) -> None:
        if self._below is not None:
            self._below.destroy()
            self._below = None
            return
        if self._watch is not None:
            self._watch.state(["disabled"])  # until it is answered
        _tell("watch")

    # what is to be shown

    def _read(self) -> None:
        for line in iter(lambda: sys.stdin.buffer.readline(LINE_LIMIT), b""):
            self._arrived.put(json.loads(line))
        self._arrived.put(None)

    def _look(self) -> None:
        while not self._arrived.empty():
            shown = self._arrived.get()
            if shown is None:
                self.root.destroy()
                return
            self._show(str(shown.get("address", "")), str(shown.get("note", "")))
        self.root.after(LOOK_EVERY, self._look)

    def _show(self, address: str, note: str) -> None:
        if self._watch is not None:
            self._watch.state(["!disabled"])
        if self._below is not None:
            self._below.destroy()
        self._below = ttk.Frame(self._body)
        self._below.pack(fill="x", pady=(10, 0))
        if address:
            self._show_address(self._below, address)
        ttk.Label(self._below, text=note, wraplength=560, justify="left").pack(anchor="w")

    def _show_address(self, below: ttk.Frame, address: str) -> None:
        row = ttk.Frame(below)
        row.pack(fill="x", pady=(0, 6))
        shown = tkinter.Entry(row, width=min(len(address) + 1, WIDEST), font=("TkFixedFont", 15), relief="flat")
        shown.insert(0, address)
        shown.configure(state="readonly")  # can be marked and copied, not changed
        shown.pack(side="left", fill="x", expand=True)
        copy = ttk.Button(row, text=self._texts["copy"])
        copy.configure(command=lambda: self._copy(address, copy))
        copy.pack(side="right", padx=(8, 0))

    def _copy(self, address: str, button: ttk.Button) -> None:
        self.root.clipboard_clear()
        self.root.clipboard_append(address)
        button.configure(text=self._texts["copied"])


def _tell(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def main() -> None:
    texts = json.loads(sys.stdin.buffer.readline(LINE_LIMIT))
    BannerWindow(texts).root.mainloop()


if __name__ == "__main__":
    main()

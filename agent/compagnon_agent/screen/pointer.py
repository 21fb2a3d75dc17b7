"""``python -m compagnon_agent.screen.pointer``: draws on this screen where the members point.

An order a line on standard input (JSON: ``member``, ``name``, ``x``, ``y`` in pixels); nothing is answered but that it
was taken. A pointer that did not move for some seconds is taken away.
"""

from __future__ import annotations

import json
import queue
import struct
import sys
import threading
import tkinter
from collections.abc import Mapping

from ..protocol.spoken import name_of
from .program import LINE_LIMIT

SHOWN = 4000  # milliseconds
LOOK_EVERY = 30  # milliseconds
POINTERS = 8
COLOURS = ("#c0392b", "#1f6fb2", "#1e8449", "#8e44ad", "#b9770e", "#117a65", "#a04000", "#5d6d7e")


class Pointer:
    """An arrow and a name, in a window without a frame beside the place that is meant: what is there can be clicked."""

    def __init__(self, root: tkinter.Tk, colour: str) -> None:
        self._window = tkinter.Toplevel(root)
        self._window.overrideredirect(True)
        self._window.attributes("-topmost", True)
        self._canvas = tkinter.Canvas(self._window, width=18, height=22, highlightthickness=0, bg="white")
        self._canvas.create_polygon(0, 0, 0, 18, 5, 14, 9, 21, 12, 20, 8, 13, 15, 13, fill=colour, outline="white")
        self._canvas.pack(side="left")
        self._label = tkinter.Label(self._window, bg=colour, fg="white", padx=6)
        self._label.pack(side="left")
        self._hide = ""
        self._window.withdraw()

    def show(self, name: str, x: int, y: int) -> None:
        self._label.configure(text=name)
        self._window.geometry(f"+{x + 1}+{y + 1}")
        self._window.deiconify()
        self._window.lift()
        if self._hide:
            self._window.after_cancel(self._hide)
        self._hide = self._window.after(SHOWN, self._window.withdraw)


class Pointers:
    def __init__(self) -> None:
        self.root = tkinter.Tk()
        self.root.withdraw()
        self._orders: queue.SimpleQueue[Mapping[str, object] | None] = queue.SimpleQueue()
        self._pointers: dict[object, Pointer] = {}
        threading.Thread(target=self._read, daemon=True).start()
        self.root.after(LOOK_EVERY, self._look)

    def _read(self) -> None:
        for line in iter(lambda: sys.stdin.buffer.readline(LINE_LIMIT), b""):
            self._orders.put(json.loads(line))
            sys.stdout.buffer.write(struct.pack(">I", 0))
            sys.stdout.buffer.flush()
        self._orders.put(None)

    def _look(self) -> None:
        while not self._orders.empty():
            order = self._orders.get()
            if order is None:
                self.root.destroy()
                return
            self._obey(order)
        self.root.after(LOOK_EVERY, self._look)

    def _obey(self, order: Mapping[str, object]) -> None:
        member, x, y = order.get("member"), order.get("x"), order.get("y")
        if not isinstance(x, int) or not isinstance(y, int) or not isinstance(member, int):
            return
        if member not in self._pointers and len(self._pointers) < POINTERS:
            self._pointers[member] = Pointer(self.root, COLOURS[member % len(COLOURS)])
        if pointer := self._pointers.get(member):
            pointer.show(name_of(str(order.get("name", ""))), x, y)


if __name__ == "__main__":
    Pointers().root.mainloop()

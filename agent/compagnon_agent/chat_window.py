"""``python -m compagnon_agent.chat_window``: the chat, in a window and a process of its own.

Standard input: a JSON object a line: first the texts of the window, then what is to be shown (:mod:`.chatting`).
Standard output: a JSON object a line: ``{"say": …}`` what was written here, ``{"typing": true}``. Closing it ends it.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
import tkinter
from collections.abc import Mapping
from tkinter import scrolledtext, ttk

from .protocol.spoken import CHARACTERS, name_of, spoken

LINE_LIMIT = 64 * 1024
LOOK_EVERY = 100  # milliseconds
TYPING_EVERY = 2.0  # seconds
TYPING_SHOWN = 4000  # milliseconds


class ChatWindow:
    """What others wrote is put in as plain text: nothing of it is read as anything else."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._arrived: queue.SimpleQueue[Mapping[str, object] | None] = queue.SimpleQueue()
        self._told_typing = 0.0
        self._quiet = ""
        self.root = tkinter.Tk()
        self.root.title(texts["title"])
        self.root.minsize(360, 320)
        self.root.geometry("+20+160")  # below the banner with its Stop
        self.root.attributes("-topmost", True)
        self._build()
        threading.Thread(target=self._read, daemon=True).start()
        self.root.after(LOOK_EVERY, self._look)

    def _build(self) -> None:
        body = ttk.Frame(self.root, padding=12)
        body.pack(fill="both", expand=True)
        ttk.Label(body, text=self._texts["note"], wraplength=380, justify="left").pack(anchor="w")
        row = ttk.Frame(body)
        row.pack(side="bottom", fill="x", pady=(8, 0))
        self._typing = ttk.Label(body, text="")
        self._typing.pack(side="bottom", anchor="w")
        self._lines = scrolledtext.ScrolledText(body, width=48, height=14, wrap="word", state="disabled")
        self._lines.tag_configure("name", font=("TkDefaultFont", 10, "bold"))
        self._lines.pack(fill="both", expand=True, pady=8)
        self._entry = tkinter.Text(row, height=3, width=36, wrap="word")
        self._entry.pack(side="left", fill="x", expand=True)
        self._entry.bind("<Return>", self._send)
        self._entry.bind("<KP_Enter>", self._send)
        self._entry.bind("<KeyRelease>", self._tell_typing)
        ttk.Button(row, text=self._texts["send"], command=self._send).pack(side="right", padx=(8, 0))
        self._entry.focus_set()

    # what is written here

    def _send(self, event: object = None) -> str | None:
        if getattr(event, "state", 0) and int(getattr(event, "state", 0)) & 1:
            return None  # Shift: a new line
        text = spoken(self._entry.get("1.0", "end"))
        self._entry.delete("1.0", "end")
        if text:
            _tell({"say": text})
        return "break"

    def _tell_typing(self, _: object) -> None:
        if len(self._entry.get("1.0", "end")) > CHARACTERS + 1:
            self._entry.delete(f"1.0 + {CHARACTERS} chars", "end")
        if time.monotonic() - self._told_typing > TYPING_EVERY and self._entry.get("1.0", "end").strip():
            self._told_typing = time.monotonic()
            _tell({"typing": True})

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
            self._show(shown)
        self.root.after(LOOK_EVERY, self._look)

    def _show(self, shown: Mapping[str, object]) -> None:
        if "typing" in shown:
            self._show_typing(name_of(str(shown["typing"])))
            return
        self._typing.configure(text="")
        self._lines.configure(state="normal")
        self._lines.insert("end", name_of(str(shown.get("name", ""))) + "\n", "name")
        self._lines.insert("end", spoken(str(shown.get("text", ""))) + "\n\n")
        self._lines.configure(state="disabled")
        self._lines.see("end")

    def _show_typing(self, name: str) -> None:
        self._typing.configure(text=self._texts["typing"].replace("{name}", name))
        if self._quiet:
            self.root.after_cancel(self._quiet)
        self._quiet = self.root.after(TYPING_SHOWN, lambda: self._typing.configure(text=""))


def _tell(what: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    texts = json.loads(sys.stdin.buffer.readline(LINE_LIMIT))
    ChatWindow(texts).root.mainloop()


if __name__ == "__main__":
    main()

"""``python -m compagnon_agent.dialog``: the consent dialog, in a process of its own: it may hang or crash alone.

Standard input: one question as JSON. Standard output: ``yes`` or ``no``. Any other end means that nobody was asked.
"""

from __future__ import annotations

import sys
import tkinter
from tkinter import scrolledtext, ttk

from .protocol.wire import loads, record
from .question import Question
from .words import say

QUESTION_LIMIT = 2 * 1024 * 1024


class Dialog:
    """No is the default: closing the window, Escape and the end of the time all refuse."""

    def __init__(self, question: Question) -> None:
        self.answer = "no"
        self._question = question
        self.root = tkinter.Tk()
        self.root.title(say(question.locale, "Compagnon: your agreement is asked"))
        self.root.attributes("-topmost", True)
        self._body = ttk.Frame(self.root, padding=20)
        self._body.pack(fill="both", expand=True)
        self._texts()
        self._buttons()
        self.root.bind("<Escape>", lambda _event: self._end("no"))
        self.root.protocol("WM_DELETE_WINDOW", lambda: self._end("no"))
        self.root.after(question.wait * 1000, lambda: self._end("no"))

    def _texts(self) -> None:
        question = self._question
        self._label(question.heading, size=14, bold=True)
        for line in question.lines:
            self._label(line)
        self._label(question.code, size=16, bold=True)
        for note in question.notes:
            self._label(note)

    def _label(self, text: str, *, size: int = 11, bold: bool = False) -> None:
        font = ("TkDefaultFont", size, "bold" if bold else "normal")
        ttk.Label(self._body, text=text, font=font, wraplength=560, justify="left").pack(anchor="w", pady=4)

    def _buttons(self) -> None:
        locale = self._question.locale
        row = ttk.Frame(self._body)
        row.pack(fill="x", pady=(16, 0))
        refuse = ttk.Button(row, text=say(locale, "I refuse"), command=lambda: self._end("no"))
        refuse.pack(side="right")
        ttk.Button(row, text=say(locale, "I agree"), command=lambda: self._end("yes")).pack(side="right", padx=8)
        if self._question.details:
            self._more = ttk.Button(row, text=say(locale, "Show details"), command=self._details)
            self._more.pack(side="left")
        refuse.focus_set()

    def _details(self) -> None:
        self._more.state(["disabled"])
        box = scrolledtext.ScrolledText(self._body, width=90, height=18, font="TkFixedFont")
        box.insert("1.0", "\n".join(self._question.details))
        box.configure(state="disabled")
        box.pack(fill="both", expand=True, pady=(12, 0))

    def _end(self, answer: str) -> None:
        self.answer = answer
        self.root.destroy()


def main() -> None:
    question = record(Question).read(loads(sys.stdin.buffer.read(), limit=QUESTION_LIMIT), "")
    dialog = Dialog(question)
    dialog.root.mainloop()
    sys.stdout.write(dialog.answer + "\n")


if __name__ == "__main__":
    main()

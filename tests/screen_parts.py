"""What a page of a screen session sees, and a scripted desktop to be looked at."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from PIL import Image
from remote_parts import Page

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.tiles import Kind, Reader

DESKTOP = """
import sys, tkinter
root = tkinter.Tk()
root.title("Bureau")
root.geometry("900x600+100+180")  # below the banners of the agent
root.configure(bg="#2060c0")
typed = tkinter.Entry(root, width=40, font=("TkFixedFont", 14))
typed.place(x=20, y=20)
corner = tkinter.Label(root, width=8, height=3, bg="#00c000")
corner.place(x=800, y=500)
clicked = tkinter.Button(root, text="Cliquez", command=lambda: print("clicked", flush=True))
clicked.place(x=20, y=100)
typed.bind("<KeyRelease>", lambda event: print("typed " + ascii(typed.get()), flush=True))
def obey(file, mask):
    order = file.readline().split()
    if order[:1] == ["corner"]:
        corner.configure(bg=order[1])
    elif order[:1] == ["background"]:
        root.configure(bg=order[1])
    elif order[:1] == ["focus"]:
        typed.focus_force()
    elif order[:1] == ["move"]:
        root.geometry("+" + order[1] + "+" + order[2])
root.tk.createfilehandler(sys.stdin, tkinter.READABLE, obey)
root.update()
print("ready", flush=True)
root.mainloop()
"""


class Desktop:
    """A window with an entry, a button and a coloured corner; ``told`` is what happened to it."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process
        os.set_blocking(process.stdout.fileno(), False)
        self._told = ""

    def order(self, text: str) -> None:
        self._process.stdin.write(text.encode() + b"\n")
        self._process.stdin.flush()

    @property
    def told(self) -> str:
        with suppress(BlockingIOError):
            while data := os.read(self._process.stdout.fileno(), 65536):
                self._told += data.decode()
        return self._told


@contextmanager
def desktop_on(display: str):
    process = subprocess.Popen(
        [sys.executable, "-c", DESKTOP],
        env={**os.environ, "DISPLAY": display},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    try:
        yield Desktop(process)
    finally:
        process.kill()
        process.communicate()


@dataclass(slots=True, kw_only=True)
class ScreenPage(Page):
    """Draws the tiles as a browser does."""

    picture: Image.Image | None = None
    tiles: int = 0
    bytes: int = 0
    reader: Reader = field(default_factory=Reader)
    slow: bool = False

    async def _draw(self, frame) -> None:
        for record in self.reader.feed(frame.payload):
            if record.kind is Kind.SCREEN:
                self.picture = Image.new("RGB", (record.width, record.height))
            else:
                self.picture.paste(Image.open(io.BytesIO(record.payload)), (record.x, record.y))
                self.tiles += 1
        self.bytes += len(frame.payload)
        if not self.slow:
            await self.socket.send(frames.ack(frame.offset + len(frame.payload), 0).encode())

    async def _hear(self, note) -> None:
        """Notes are kept, nothing more."""

    async def say(self, kind: str, **facts) -> None:
        import json

        await self.socket.send(json.dumps({"type": kind, **facts}))

    def shows(self, x: int, y: int, colour: tuple[int, int, int]) -> bool:
        """Whether that pixel has about that colour."""
        if self.picture is None:
            return False
        return all(abs(a - b) < 24 for a, b in zip(self.picture.getpixel((x, y)), colour, strict=True))

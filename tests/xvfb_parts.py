"""A virtual X display for tests that need a screen, and hands on it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def display(size: str = "1280x800x24") -> Iterator[str]:
    """``:7`` of a fresh X server; the test is skipped where there is none."""
    if shutil.which("Xvfb") is None or shutil.which("xdotool") is None:
        pytest.skip("Debian's xvfb and xdotool are not installed")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", size, "-nolisten", "tcp"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


async def x(display: str, *arguments: str) -> str:
    """What ``xdotool`` says."""
    process = await asyncio.create_subprocess_exec(
        "xdotool", *arguments, env={**os.environ, "DISPLAY": display}, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return output.decode().strip()


async def type_into(display: str, title: str, text: str) -> None:
    """Type a line into the window of that title: real keys. No window manager gives it the focus, so this does."""
    window = (await x(display, "search", "--sync", "--onlyvisible", "--name", title)).split()[0]
    await x(display, "windowfocus", "--sync", window)
    await asyncio.sleep(0.3)
    await x(display, "type", "--delay", "5", text)
    await x(display, "key", "Return")


async def click(display: str, title: str, from_right: int, from_bottom: int) -> None:
    """A real click of the pointer in the window, measured from its lower right corner."""
    window = (await x(display, "search", "--sync", "--onlyvisible", "--name", title)).split()[0]
    await asyncio.sleep(0.4)
    shape = dict(re.findall(r"(WIDTH|HEIGHT)=(\d+)", await x(display, "getwindowgeometry", "--shell", window)))
    across, down = int(shape["WIDTH"]) - from_right, int(shape["HEIGHT"]) - from_bottom
    await x(display, "mousemove", "--window", window, str(across), str(down), "click", "1")


async def clipboard(display: str) -> str:
    """What was copied there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import tkinter; root = tkinter.Tk(); root.withdraw(); print(root.clipboard_get())",
        env={**os.environ, "DISPLAY": display},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return output.decode().strip()

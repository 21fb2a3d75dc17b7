"""Asking the person at the machine: in a dialog on a desktop, else in the agent's own terminal, else not at all."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from .desk.core import Desk, NoDesk
from .protocol.messages import ConsentSource
from .protocol.wire import dumps, write_record
from .question import Question
from .words import say

if sys.platform != "win32":
    import termios

NOBODY = "nobody can be asked here"
NO_ANSWER = "nobody answered in time"
SAID_NO = "the person at the machine refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """``granted`` is None when this way of asking does not work here. ``person``: who was asked, where known."""

    granted: bool | None
    source: ConsentSource = ConsentSource.NONE
    reason: str = ""
    person: str = ""


UNASKED = Reply(granted=None, reason=NOBODY)


def has_display() -> bool:
    """Whether a window may be shown: a graphical session and tkinter."""
    desktop = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(desktop) and importlib.util.find_spec("tkinter") is not None


def has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.platform != "win32"


def person() -> str:
    """Who seems to be at the machine."""
    with contextlib.suppress(Exception):
        users = psutil.users()
        if users:
            return users[0].name[:120]
    try:
        return getpass.getuser()[:120]
    except (OSError, KeyError):
        return ""


def somebody() -> bool:
    """Whether anybody is signed in at the machine, at its screen or in a terminal."""
    try:
        return bool(psutil.users())
    except (OSError, RuntimeError, psutil.Error):
        return False


async def ask(question: Question, desk: Desk) -> Reply:
    """One question, at most ``question.wait`` seconds; cancelling withdraws it."""
    reply = await dialog(question) if has_display() else await _helper(question, desk)
    if reply.granted is None and has_terminal():
        reply = await _terminal(question)
    if reply.granted is None:
        return Reply(granted=False, reason=reply.reason)
    return reply


async def _helper(question: Question, desk: Desk) -> Reply:
    """In the session of whoever is at the screen, through their helper: it can only answer for that screen."""
    try:
        async with asyncio.timeout(question.wait + 10):
            answer, person = await desk.request("ask", write_record(question))
    except NoDesk:
        return UNASKED
    except TimeoutError:
        return Reply(granted=False, source=ConsentSource.DIALOG, reason=NO_ANSWER)
    granted = answer.get("granted")
    if granted is True:
        return Reply(granted=True, source=ConsentSource.DIALOG, person=person)
    if granted is False:
        reason = NO_ANSWER if answer.get("reason") == NO_ANSWER else SAID_NO
        return Reply(granted=False, source=ConsentSource.DIALOG, reason=reason, person=person)
    return UNASKED


async def dialog(question: Question) -> Reply:
    """A window in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "compagnon_agent.dialog",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        source = dumps(write_record(question)).encode()
        async with asyncio.timeout(question.wait + 5):
            output, _ = await process.communicate(source)
    except TimeoutError:
        return Reply(granted=False, source=ConsentSource.DIALOG, reason=NO_ANSWER)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    answer = output.strip()
    if answer == b"yes":
        return Reply(granted=True, source=ConsentSource.DIALOG)
    if answer == b"no":
        return Reply(granted=False, source=ConsentSource.DIALOG, reason=SAID_NO)
    return UNASKED


async def _terminal(question: Question) -> Reply:
    show: Callable[[str], None] = lambda line: print(line, flush=True)  # noqa: E731
    show("\n" + "─" * 60)
    for line in (question.heading, *question.lines, question.code, *question.notes):
        show(line)
    try:
        async with asyncio.timeout(question.wait):
            granted = await _prompt(question, show)
    except TimeoutError:
        show("\n" + say(question.locale, "The question was withdrawn."))
        return Reply(granted=False, source=ConsentSource.TERMINAL, reason=NO_ANSWER)
    except asyncio.CancelledError:
        show("\n" + say(question.locale, "The question was withdrawn."))
        raise
    if granted is None:
        return UNASKED
    if not granted:
        show(say(question.locale, "Refused."))
    return Reply(granted=granted, source=ConsentSource.TERMINAL, reason="" if granted else SAID_NO)


async def _prompt(question: Question, show: Callable[[str], None]) -> bool | None:
    """True or False; None when the terminal has gone away."""
    while True:
        _forget_typed()
        print(say(question.locale, "[y] I agree   [n] I refuse   [d] show details: "), end="", flush=True)
        line = await read_line()
        if line is None:
            return None
        answer = line.strip().casefold()
        if answer in {"y", "yes", "o", "oui"}:
            return True
        if answer in {"n", "no", "non"}:
            return False
        if answer in {"d", "details", "détails"}:
            for detail in question.details:
                show(detail)


def _forget_typed() -> None:
    """What was typed before this question was there to be read is no answer to it."""
    if sys.platform != "win32":
        with contextlib.suppress(termios.error):  # the terminal has gone away: reading will say so
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


async def read_line() -> str | None:
    """One line from standard input, without a thread that could not be stopped; None at its end.

    Who asks last is answered first: a question goes before a chat that waits for its next line.
    """
    ready: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    number = sys.stdin.fileno()

    def read() -> None:
        if not ready.done():
            try:
                ready.set_result(os.read(number, 1024))
            except OSError:
                ready.set_result(b"")

    _readers.append(read)
    _listen(number)
    try:
        data = await ready
    finally:
        _readers.remove(read)
        _listen(number)
    return data.decode("utf-8", "replace") if data else None


_readers: list[Callable[[], None]] = []


def _listen(number: int) -> None:
    loop = asyncio.get_running_loop()
    if _readers:
        loop.add_reader(number, _readers[-1])
    else:
        loop.remove_reader(number)

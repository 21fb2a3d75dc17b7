"""A login shell on a pseudo-terminal, as bytes, without threads.

A tiny helper makes the terminal its controlling one and becomes the shell: forking this process is not safe.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import signal
import struct
import sys
import termios
from collections.abc import Callable

import psutil

from .execute import PATH

READ = 32 * 1024
PAGE = 4095
"""Bytes that Linux gives at most for one read of a terminal (n_tty): after fewer there is nothing more for now."""

HANGUP_GRACE = 2.0
_BECOME = (
    "import fcntl,os,sys,termios;"
    "fcntl.ioctl(0,termios.TIOCSCTTY,0);"
    "os.execv(sys.argv[1],['-'+os.path.basename(sys.argv[1]),*sys.argv[2:]])"
)


def login_shell() -> str:
    shell = pwd.getpwuid(os.geteuid()).pw_shell
    return shell if shell and os.access(shell, os.X_OK) else "/bin/sh"


def environment(shell: str) -> dict[str, str]:
    account = pwd.getpwuid(os.geteuid())
    return {
        "PATH": PATH,
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "SHELL": shell,
        "LANG": os.environ.get("LANG") or "C.UTF-8",
        "TERM": "xterm-256color",
    }


def _signal_session(leader: int, number: int) -> None:
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                os.kill(pid, number)


def _read(master: int) -> tuple[bytes, bool]:
    """What the terminal has now, up to :data:`READ` bytes, and whether the last program on it has gone."""
    pieces: list[bytes] = []
    size = 0
    while size < READ:
        try:
            piece = os.read(master, READ - size)
        except BlockingIOError:
            break
        except OSError:  # EIO
            piece = b""
        if not piece:
            return b"".join(pieces), True
        pieces.append(piece)
        size += len(piece)
        if len(piece) < PAGE:
            break
    return b"".join(pieces), False


class PtyProcess:
    """``on_output(bytes)`` for what the terminal shows, ``on_exit(code)`` once, after the last output."""

    def __init__(self, on_output: Callable[[bytes], None], on_exit: Callable[[int], None]) -> None:
        self._on_output = on_output
        self._on_exit = on_exit
        self._master = -1
        self._process: asyncio.subprocess.Process | None = None
        self._waiter: asyncio.Task[None] | None = None
        self._reading = False
        self._watching = False
        self._drained = asyncio.Event()
        self._input = bytearray()

    async def start(self, shell: str | None, columns: int, rows: int) -> None:
        """Raises ``OSError`` when no terminal or no shell can be had."""
        program = shell or login_shell()
        self._master, slave = os.openpty()
        try:
            os.set_blocking(self._master, False)
            self.resize(columns, rows)
            home = environment(program)["HOME"]
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", _BECOME, program,
                stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                env=environment(program), cwd=home if os.access(home, os.X_OK) else "/",
            )  # fmt: skip
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        self.read(on=True)
        self._waiter = asyncio.create_task(self._wait())

    @property
    def pending_input(self) -> int:
        """Bytes given to :meth:`write` that the terminal has not taken yet."""
        return len(self._input)

    def read(self, *, on: bool) -> None:
        """Reading off: the terminal fills up, and the program in it waits (back-pressure)."""
        if on == self._reading or self._master < 0:
            return
        self._reading = on
        loop = asyncio.get_running_loop()
        if on:
            loop.add_reader(self._master, self._readable)
        else:
            loop.remove_reader(self._master)

    def _readable(self) -> None:
        data, ended = _read(self._master)
        if data:
            self._on_output(data)
        if ended:
            self.read(on=False)
            self._drained.set()

    def write(self, data: bytes) -> None:
        """Keys. What the terminal does not take at once is written as soon as it does."""
        self._input += data
        self._writable()

    def _writable(self) -> None:
        if self._master < 0:
            return
        try:
            written = os.write(self._master, self._input) if self._input else 0
        except BlockingIOError:
            written = 0
        except OSError:
            written = len(self._input)  # nobody is left to read it
        del self._input[:written]
        self._watch_for_room(on=bool(self._input))

    def _watch_for_room(self, *, on: bool) -> None:
        if on == self._watching:
            return
        self._watching = on
        loop = asyncio.get_running_loop()
        if on:
            loop.add_writer(self._master, self._writable)
        else:
            loop.remove_writer(self._master)

    def resize(self, columns: int, rows: int) -> None:
        if self._master >= 0:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, name: str) -> None:
        """To the foreground job, or for HUP, TERM and KILL to the whole session."""
        number = getattr(signal, f"SIG{name}", None)
        if number is None or self._process is None or self._master < 0:
            return
        with contextlib.suppress(OSError):
            group = os.tcgetpgrp(self._master) if name in {"INT", "QUIT"} else self._process.pid
            os.killpg(group, number)

    async def _wait(self) -> None:
        assert self._process is not None
        code = await self._process.wait()
        # The shell is gone; a background job may hold the terminal open. Give its last words a moment.
        idle = 0
        while not self._drained.is_set() and idle < 5:
            idle = idle + 1 if self._reading else 0  # reading is held back: what is left will still be wanted
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._drained.wait()
        self._on_exit(code)

    async def close(self) -> None:
        """Hang up on everything that still belongs to the session, background jobs too; who ignores that is killed.

        After the shell's own end nothing is hung up: what it left running on purpose goes on, as with ssh.
        """
        if self._process and self._process.returncode is None:
            _signal_session(self._process.pid, signal.SIGHUP)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANGUP_GRACE):
                    await self._process.wait()
            _signal_session(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        if self._waiter:
            self._waiter.cancel()
            await asyncio.gather(self._waiter, return_exceptions=True)
        if self._master >= 0:
            self.read(on=False)
            self._watch_for_room(on=False)
            os.close(self._master)
            self._master = -1

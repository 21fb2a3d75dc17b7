"""Running one command line of a consented step: bounded in time and output, in a process group of its own.

The command line is an argv list made here, ``[interpreter, "-c", script]``; environment minimal, input empty.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from .protocol.manifest import Shell
from .protocol.output import Tail, plain

TERM_GRACE = 2.0
PIPE_GRACE = 0.5
"""Seconds to wait for output after the command ended: a service it started may hold the pipe for ever."""

__all__ = ["CannotRun", "Outcome", "Tail", "argv", "environment", "plain", "run"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


CHECK_SHELL = Shell.POWERSHELL if sys.platform == "win32" else Shell.SH
"""What runs a ``command`` check on this machine: the values in it are quoted for this shell, and no other."""


class CannotRun(Exception):
    """The command could not be started; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``exit_code`` is negative for a signal; ``timed_out`` when the time was up."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


def argv(shell: Shell, script: str) -> list[str]:
    """The interpreter that this system has for ``shell``; :class:`CannotRun` when it has none."""
    windows = sys.platform == "win32"
    if shell is Shell.SH and not windows:
        return ["/bin/sh", "-c", script]
    if shell is Shell.POWERSHELL and windows:
        return ["powershell.exe", "-NoProfile", "-NonInteractive", "-Command", script]
    if shell is Shell.CMD and windows:
        return ["cmd.exe", "/d", "/s", "/c", script]
    raise CannotRun(f"this machine has no {shell}")


def environment() -> dict[str, str]:
    """What a step sees of the agent's environment: next to nothing."""
    if sys.platform == "win32":
        return {name: os.environ[name] for name in ("SYSTEMROOT", "PATH", "TEMP", "USERPROFILE") if name in os.environ}
    import pwd

    account = pwd.getpwuid(os.geteuid())
    return {
        "PATH": PATH,
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "DEBIAN_FRONTEND": "noninteractive",
    }


async def run(command: Sequence[str], *, timeout: float, merge: bool = True) -> Outcome:
    """Run to the end, to the time limit or to cancellation; the last two kill the whole process group."""
    home = environment().get("HOME", "/")
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT if merge else asyncio.subprocess.PIPE,
            env=environment(),
            cwd=home if os.path.isdir(home) else "/",  # noqa: ASYNC240, PTH112 - one stat
            start_new_session=True,
        )
    except OSError as fault:
        raise CannotRun(f"{command[0]}: {fault.strerror or fault}") from None
    out, err = Tail(), Tail()
    readers = [asyncio.create_task(_drain(process.stdout, out)), asyncio.create_task(_drain(process.stderr, err))]
    try:
        timed_out = not await _ended(process, timeout)
        if timed_out:
            await kill_group(process)
        await asyncio.wait(readers, timeout=PIPE_GRACE)
    except asyncio.CancelledError:
        await kill_group(process)
        raise
    finally:
        await _close(process, readers)
    code = process.returncode if process.returncode is not None else -9
    return Outcome(exit_code=code, stdout=out.value(), stderr=err.value(), timed_out=timed_out)


async def _drain(stream: asyncio.StreamReader | None, tail: Tail) -> None:
    while stream and (data := await stream.read(32 * 1024)):
        tail.feed(data)


async def _ended(process: asyncio.subprocess.Process, timeout: float) -> bool:
    """Not ``process.wait()``: that also waits for the pipes, which a started service may keep open."""
    deadline = asyncio.get_running_loop().time() + timeout
    pause = 0.005
    while process.returncode is None:
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return True


async def _close(process: asyncio.subprocess.Process, readers: Sequence[asyncio.Task[None]]) -> None:
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    process._transport.close()  # type: ignore[attr-defined]  # there is no public way to let go of the pipes


async def kill_group(process: asyncio.subprocess.Process) -> None:
    """TERM, then after a moment KILL, to the process and all its children."""
    signal_group(process.pid, signal.SIGTERM)
    if not await _ended(process, TERM_GRACE):
        signal_group(process.pid, KILL)
        await _ended(process, TERM_GRACE)
    signal_group(process.pid, KILL)  # children that ignored TERM


KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            os.kill(pid, number)
        else:
            os.killpg(pid, number)

"""Which files everyone on this machine may read: a fact that the decision about a check needs.

``python -m compagnon_agent.checks.public`` finds it out in a process of its own: a dead network drive hangs whoever
asks for a path on it. Standard input: a JSON list of paths. Standard output: a line ``true`` or ``false`` for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from ..protocol.duties import MAX_SCHEDULED
from ..protocol.wire import dumps, loads, sequence, text

LIMIT = 10.0
"""Seconds for all; what was not answered by then is not public."""

_SPECIAL = ("/proc", "/sys", "/dev")
"""Their modes do not say who may read: the kernel asks who reads."""


def everyone_may_read(key: str) -> bool:
    """Other users may read the file and search every folder above it, links followed; also when nothing is there.

    Windows has its permissions elsewhere: nothing is known to be public there.
    """
    if sys.platform == "win32":
        return False
    try:
        path = Path(key).expanduser().resolve()
        if any(path.is_relative_to(folder) for folder in _SPECIAL):
            return False
        if not all(folder.stat().st_mode & stat.S_IXOTH for folder in reversed(path.parents)):
            return False
        return bool(path.stat().st_mode & stat.S_IROTH)
    except FileNotFoundError:
        return True  # every folder that is there may be searched: everyone can see that nothing is there
    except (OSError, RuntimeError):  # a loop of links, a home that is not known
        return False


async def public_files(keys: Iterable[str]) -> frozenset[str]:
    """Those of ``keys`` that everyone may read."""
    asked = sorted(set(keys))
    found: set[str] = set()
    if not asked:
        return frozenset()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(LIMIT):
                await _answers(process, asked, found)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return frozenset(found)


async def _answers(process: asyncio.subprocess.Process, asked: list[str], found: set[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(dumps([*asked]).encode())
    process.stdin.close()
    for key in asked:
        if await process.stdout.readline() == b"true\n":
            found.add(key)


def main() -> None:
    keys = sequence(text(4000), MAX_SCHEDULED).read(loads(sys.stdin.buffer.read(), limit=1024 * 1024), "paths")
    for key in keys:
        sys.stdout.write("true\n" if everyone_may_read(key) else "false\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

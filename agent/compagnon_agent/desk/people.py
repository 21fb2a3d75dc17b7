"""Who sits at the machine: the account of the graphical session that is on the screen now."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Mapping

LOGINCTL_SECONDS = 5.0
GRAPHICAL = frozenset({"x11", "wayland", "mir"})
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1
"""``sys/un.h`` of macOS; Python names neither."""


def peer_account(link: socket.socket) -> int | None:
    """The account at the other end of a Unix socket, as the kernel says it; None where it does not."""
    if sys.platform.startswith("linux"):
        size = struct.calcsize("3i")
        _, account, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        return int(account)
    if sys.platform == "darwin":  # struct xucred: version, uid, count of groups, groups
        return int(struct.unpack_from("II", link.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76))[1])
    return None


async def at_the_screen() -> frozenset[int]:
    """Accounts (uid) whose graphical session is on a screen now: usually one; none at a log-in prompt."""
    if sys.platform == "darwin":
        with contextlib.suppress(OSError):
            return frozenset({os.stat("/dev/console").st_uid})  # noqa: PTH116 - belongs to whoever is logged in
        return frozenset()
    return await _from_logind()


async def _from_logind() -> frozenset[int]:
    listed = await _loginctl("list-sessions", "--no-legend")
    names = [line.split()[0] for line in listed.splitlines() if line.split()][:64]
    if not names:
        return frozenset()
    shown = await _loginctl("show-session", *names, *(f"--property={name}" for name in PROPERTIES))
    found = (active_account(properties(block)) for block in shown.split("\n\n"))
    return frozenset(account for account in found if account is not None)


PROPERTIES = ("User", "Type", "Active", "Remote", "Class")


def properties(block: str) -> Mapping[str, str]:
    """``Name=value`` lines of ``loginctl show-session``."""
    return {name: value for name, _, value in (line.partition("=") for line in block.splitlines()) if value}


def active_account(session: Mapping[str, str]) -> int | None:
    """The account of a session that is on the screen (loginctl(1)), else None: greeters and ssh are nobody's screen."""
    at_screen = session.get("Active") == "yes" and session.get("Remote") != "yes" and session.get("Class") == "user"
    if not at_screen or session.get("Type") not in GRAPHICAL:
        return None
    number = session.get("User", "")
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 11 else None


async def _loginctl(*arguments: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            "loginctl",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(LOGINCTL_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return output.decode("utf-8", "replace")


def account_name(account: int) -> str:
    """The account's name, or its number."""
    if sys.platform != "win32":
        import pwd

        with contextlib.suppress(KeyError):
            return pwd.getpwuid(account).pw_name[:120]
    return str(account)

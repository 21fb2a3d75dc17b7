"""``mount``: mount points, from proc_pid_mountinfo(5). ``usage`` is df's: used of what an ordinary user may use."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..protocol.wire import JSON
from .common import Observed, Question, Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    point: str
    options: tuple[str, ...]
    filesystem: str
    source: str
    own_options: tuple[str, ...]


def observe(question: Question) -> Observed:
    path = question.key.rstrip("/") or "/"
    mount = next((item for item in reversed(_mounts()) if item.point == path), None)
    observed: Observed = {
        "exists": mount is not None,
        "opts": None,
        "vfs-opts": None,
        "source": None,
        "filesystem": None,
    }
    if mount:
        options: list[JSON] = list(mount.options)
        own: list[JSON] = list(mount.own_options)
        observed.update({"opts": options, "vfs-opts": own, "source": mount.source, "filesystem": mount.filesystem})
    if "usage" in question.wanted:
        observed["usage"] = usage(path)
    return observed


def _mounts() -> list[Mount]:
    if sys.platform == "linux":
        return parse_mountinfo(Path("/proc/self/mountinfo").read_text(errors="replace"))
    return [
        Mount(point=part.mountpoint.rstrip("\\/") or part.mountpoint, options=tuple(part.opts.split(",")),
              filesystem=part.fstype, source=part.device, own_options=())
        for part in psutil.disk_partitions(all=True)
    ]  # fmt: skip


def parse_mountinfo(text: str) -> list[Mount]:
    """In mount order: of two on one point, the later one covers the earlier."""
    mounts: list[Mount] = []
    for line in text.splitlines():
        fields = line.split(" ")
        if "-" not in fields[6:] or len(fields) < 10:
            continue
        dash = fields.index("-", 6)
        filesystem, source, own = (*fields[dash + 1 : dash + 4], "", "", "")[:3]
        mounts.append(
            Mount(
                point=_unescape(fields[4]),
                options=tuple(fields[5].split(",")),
                filesystem=filesystem,
                source=_unescape(source),
                own_options=tuple(own.split(",")),
            )
        )
    return mounts


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def usage(path: str) -> int | None:
    """Percent in use of the file system that holds ``path``, rounded up; None when there is no such path."""
    if sys.platform == "win32":
        return round(psutil.disk_usage(path).percent)
    try:
        status = os.statvfs(path)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise Trouble(f"{path}: {fault.strerror}") from None
    used = status.f_blocks - status.f_bfree
    usable = used + status.f_bavail
    return -(-100 * used // usable) if usable else 0

"""``processes``: what runs on this machine, and ending it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import psutil

from ..protocol.wire import JSON, clean_text, integer, read_record
from .capability import Arguments, CallError, Capability, Method

LISTED = 1000
_ATTRIBUTES = ["pid", "name", "username", "cpu_times", "memory_info", "create_time", "status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndProcess:
    """``started``: when the process meant began (seconds, Unix time), as a pid may belong to another one by now."""

    pid: Annotated[int, integer(1, 2**31)]
    started: Annotated[int, integer(0, 2**53)]


class Processes(Capability):
    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            "list": Method(handler=self._list, changes=False),
            "end": Method(handler=self._end, changes=True),
        }

    async def _list(self, _: Arguments) -> Arguments:
        return {"processes": await asyncio.to_thread(_listed)}

    async def _end(self, arguments: Arguments) -> Arguments:
        asked = read_record(EndProcess, dict(arguments), "")
        await asyncio.to_thread(_terminate, asked)
        return {}


def _listed() -> list[JSON]:
    """The hungriest first, at most :data:`LISTED`."""
    found = [_described(process.info) for process in psutil.process_iter(_ATTRIBUTES)]
    found.sort(key=lambda item: -int(item["memory"]))
    return [dict(item) for item in found[:LISTED]]


def _described(info: dict[str, object]) -> dict[str, int | str]:
    memory, times = info["memory_info"], info["cpu_times"]
    return {
        "pid": int(str(info["pid"])),
        "name": clean_text(str(info["name"] or ""))[:80],
        "user": clean_text(str(info["username"] or ""))[:80],
        "memory": int(getattr(memory, "rss", 0)),
        "cpu": round(getattr(times, "user", 0.0) + getattr(times, "system", 0.0)),
        "started": int(float(str(info["create_time"] or 0))),
        "status": str(info["status"]),
    }


def _terminate(asked: EndProcess) -> None:
    try:
        process = psutil.Process(asked.pid)
        if int(process.create_time()) != asked.started:
            raise CallError("not_found", "this process has ended; another one has its number")
        process.terminate()
    except psutil.NoSuchProcess:
        raise CallError("not_found", "this process has ended") from None
    except psutil.AccessDenied:
        raise CallError("refused", "the agent may not end this process") from None

"""``processes``: what runs on this machine and what it uses, ending it, and the services."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import TypeVar

from ..processes import ending, services
from ..processes.ending import Prioritise, Trouble, Which
from ..processes.listing import Look, as_json
from ..processes.services import Order
from ..protocol.wire import JSON, read_record
from .calls import CallSession
from .capability import Arguments, CallError, Capability, Method

T = TypeVar("T")


class Processes(Capability):
    """What was asked to end is remembered: only that may be killed."""

    def __init__(self, session: CallSession) -> None:
        super().__init__(session)
        self._look = Look()
        self._looking = asyncio.Lock()
        self._asked: set[Which] = set()
        self._ordering = asyncio.Lock()

    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            "list": Method(handler=self._list, changes=False),
            "show": Method(handler=self._show, changes=False),
            "end": Method(handler=self._end, changes=True),
            "kill": Method(handler=self._kill, changes=True),
            "prioritise": Method(handler=self._prioritise, changes=True),
            "services": Method(handler=self._services, changes=False),
            "service": Method(handler=self._service, changes=True),
        }

    # -- processes

    async def _list(self, _: Arguments) -> Arguments:
        async with self._looking:
            table = await asyncio.to_thread(self._look.table)
        rows: list[JSON] = [as_json(row) for row in table.rows]
        return {"processes": rows, "kernel": table.kernel, "left_out": table.left_out, "agent": os.getpid()}

    async def _show(self, arguments: Arguments) -> Arguments:
        which = read_record(Which, dict(arguments), "")
        return {"process": await self._told(ending.closely, which)}

    async def _end(self, arguments: Arguments) -> Arguments:
        which = read_record(Which, dict(arguments), "")
        self._write_down("end", which)
        self._asked.add(which)
        return {"ended": await self._told(ending.end, which)}

    async def _kill(self, arguments: Arguments) -> Arguments:
        which = read_record(Which, dict(arguments), "")
        if which not in self._asked:
            raise CallError("not_asked", "ask the process to end first")
        self._write_down("kill", which)
        return {"ended": await self._told(ending.kill, which)}

    async def _prioritise(self, arguments: Arguments) -> Arguments:
        asked = read_record(Prioritise, dict(arguments), "")
        self._write_down(f"priority {asked.turn}", asked)
        await self._told(ending.prioritise, asked)
        return {}

    def _write_down(self, what: str, which: Which) -> None:
        details: dict[str, JSON] = {"session": self.session.id, "pid": which.pid, "started": which.started}
        self.session.around.write_down(f"processes.{what}", details)

    async def _told(self, do: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.to_thread(do, *arguments)
        except Trouble as fault:
            raise CallError(fault.code, str(fault)) from None

    # -- services

    async def _services(self, _: Arguments) -> Arguments:
        kind = services.manager()
        found = await self._told(services.listed, kind)
        return {"manager": kind, "services": [services.as_json(one) for one in found]}

    async def _service(self, arguments: Arguments) -> Arguments:
        """One after the other: two orders at once would each tell of the other's doing."""
        order = read_record(Order, dict(arguments), "")
        details: dict[str, JSON] = {"session": self.session.id, "service": order.name, "action": order.action}
        self.session.around.write_down("services.order", details)
        async with self._ordering:
            done = await self._told(services.act, order, services.manager())
        return {
            "ok": done.ok,
            "service": services.as_json(done.service) if done.service else None,
            "output": done.output,
            "log": [*done.log],
        }

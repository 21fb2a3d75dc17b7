"""``logs``: the journal and the log files of this machine, read, searched and followed in a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping

from ..logs.model import Query
from ..protocol.calls import TooMany
from ..protocol.wire import JSON, WireError, dumps, loads, read_record, text, write_record
from ..tasks import first_of
from .calls import CallSession
from .capability import Arguments, CallError, Capability, Method

PATIENCE = 20.0
"""Seconds for a question: a search stops by itself well before; an expression may not."""

SILENCE = 8.0
"""Seconds without a sign of life of a follower: its expression takes for ever."""

LEASE = 60.0
"""Seconds that a log is followed without anybody asking again."""

FOLLOWED = 4
LINE = 512 * 1024


class Logs(Capability):
    """A log that is followed ends by itself when nobody asks for it any more."""

    def __init__(self, session: CallSession) -> None:
        super().__init__(session)
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._renewed: dict[str, asyncio.Event] = {}

    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            "sources": Method(handler=self._sources, changes=False),
            "read": Method(handler=self._read, changes=False),
            "follow": Method(handler=self._follow, changes=False),
            "keep": Method(handler=self._keep, changes=False),
            "leave": Method(handler=self._leave, changes=False),
        }

    async def reset(self) -> None:
        await self.close()

    async def close(self) -> None:
        tasks = list(self._followed.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._followed.clear()

    async def _sources(self, _: Arguments) -> Arguments:
        return await _asked({"what": "sources"})

    async def _read(self, arguments: Arguments) -> Arguments:
        query = read_record(Query, dict(arguments), "")
        self._write_down("logs.read", query)
        return await _asked({"what": "read", **write_record(query)})

    def _write_down(self, event: str, query: Query) -> None:
        details: dict[str, JSON] = {"session": self.session.id, "source": query.source, "unit": query.unit}
        self.session.around.write_down(event, {**details, "text": query.text})

    # -- following

    async def _follow(self, arguments: Arguments) -> Arguments:
        name = _NAME.read(arguments.get("follow"), "follow")
        query = read_record(Query, {key: value for key, value in arguments.items() if key != "follow"}, "")
        if name in self._followed or len(self._followed) >= FOLLOWED:
            raise CallError("too_many", "too many logs are followed in this session already")
        self._write_down("logs.follow", query)
        self._renewed[name] = asyncio.Event()
        task = asyncio.create_task(self._run(name, query))
        self._followed[name] = task
        task.add_done_callback(lambda _: self._followed.pop(name, None))
        return {}

    async def _keep(self, arguments: Arguments) -> Arguments:
        name = _NAME.read(arguments.get("follow"), "follow")
        if name not in self._followed:
            raise CallError("not_followed", "this log is not followed any more")
        self._renewed[name].set()
        return {}

    async def _leave(self, arguments: Arguments) -> Arguments:
        task = self._followed.get(_NAME.read(arguments.get("follow"), "follow"))
        if task is not None:
            task.cancel()
        return {}

    async def _run(self, name: str, query: Query) -> None:
        why = "left"
        try:
            await first_of(self._tell(name, query), self._expire(name))
        except CallError as fault:
            why = fault.code
        finally:
            self._renewed.pop(name, None)
            self._notify({"follow": name, "lines": [], "skipped": 0, "newer": "", "ended": why})

    async def _expire(self, name: str) -> None:
        renewed = self._renewed[name]
        with contextlib.suppress(TimeoutError):
            while True:
                renewed.clear()
                async with asyncio.timeout(LEASE):
                    await renewed.wait()

    async def _tell(self, name: str, query: Query) -> None:
        missed = 0
        async for batch in _follower({"what": "follow", **write_record(query)}):
            lines, skipped = batch.get("lines"), batch.get("skipped")
            if not lines and not skipped and not missed:
                continue
            told: dict[str, JSON] = {**batch, "follow": name, "ended": ""}
            told["skipped"] = missed + (skipped if isinstance(skipped, int) else 0)
            missed = 0 if self._notify(told) else missed + int(str(skipped or 0)) + len(_list(lines))

    def _notify(self, told: Mapping[str, JSON]) -> bool:
        try:
            self.session.notify("logs.lines", told)
        except TooMany:
            return False  # the link is cut or slow: what is left out is counted and told later
        return True


_NAME = text(32, minimum=1)


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []


@contextlib.asynccontextmanager
async def _process(asked: Mapping[str, JSON]) -> AsyncIterator[asyncio.StreamReader]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "compagnon_agent.logs",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=LINE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(dumps(dict(asked)).encode() + b"\n")
        yield process.stdout
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _asked(asked: Mapping[str, JSON]) -> Arguments:
    async with _process(asked) as output:
        return await _next(output, PATIENCE)


async def _follower(asked: Mapping[str, JSON]) -> AsyncIterator[dict[str, JSON]]:
    async with _process(asked) as output:
        while True:
            yield await _next(output, SILENCE)


async def _next(output: asyncio.StreamReader, seconds: float) -> dict[str, JSON]:
    """The next answer. Raises :class:`CallError`."""
    try:
        async with asyncio.timeout(seconds):
            line = await output.readline()
        answer = loads(line, limit=LINE)
    except TimeoutError:
        raise CallError("too_slow", "this takes too long: a simpler expression, or a shorter time") from None
    except (ValueError, WireError):
        raise CallError("failed", "the log could not be read") from None
    if not isinstance(answer, dict):
        raise CallError("failed", "the log could not be read")
    if code := answer.get("code"):
        raise CallError(str(code), str(answer.get("error") or code))
    return answer

"""A ``logs`` session's followers: bounded, leased, and none of them can hang the agent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from types import SimpleNamespace

import pytest

from compagnon_agent.protocol.calls import TooMany
from compagnon_agent.sessions import logs as followed
from compagnon_agent.sessions.capability import CallError
from compagnon_agent.sessions.logs import Logs

BATCH = {"lines": [{"at": 0, "severity": 6, "unit": "", "text": "x"}], "skipped": 0, "newer": "1"}


class Session:
    """What the capability uses of its session; ``full``: notices cannot be taken in."""

    def __init__(self):
        self.id = "0" * 32
        self.told = []
        self.full = False
        self.around = SimpleNamespace(write_down=lambda *_: None)

    def notify(self, name, value):
        if self.full:
            raise TooMany
        self.told.append(value)

    @property
    def lines(self):
        return sum(len(value["lines"]) for value in self.told)

    @property
    def ended(self):
        return next((value["ended"] for value in self.told if value["ended"]), "")


@pytest.fixture
def says(monkeypatch):
    """``says(script)``: the reading process is this Python program instead."""

    def use(script: str) -> None:
        @contextlib.asynccontextmanager
        async def process(_):
            made = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, limit=followed.LINE
            )
            try:
                yield made.stdout
            finally:
                with contextlib.suppress(ProcessLookupError):
                    made.kill()
                await made.wait()

        monkeypatch.setattr(followed, "_process", process)

    return use


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def script(*, every: float, count: int = 10_000, after: str = "time.sleep(60)") -> str:
    line = json.dumps(BATCH)
    return f"import time\nfor _ in range({count}):\n print({line!r}, flush=True); time.sleep({every})\n{after}\n"


ASKED = {"follow": "a", "source": "journal"}


async def test_lines_are_told_until_it_is_left(says):
    says(script(every=0.02))
    session = Session()
    logs = Logs(session)
    await logs.methods["follow"].handler(ASKED)
    await until(lambda: session.lines >= 3)
    await logs.methods["leave"].handler({"follow": "a"})
    await until(lambda: session.ended)
    assert session.ended == "left"
    with pytest.raises(CallError):
        await logs.methods["keep"].handler({"follow": "a"})
    await logs.close()


async def test_what_could_not_be_told_is_counted(says):
    says(script(every=0.02))
    session = Session()
    logs = Logs(session)
    await logs.methods["follow"].handler(ASKED)
    await until(lambda: session.lines)
    session.full = True
    await asyncio.sleep(0.3)
    told = len(session.told)
    session.full = False
    await until(lambda: len(session.told) > told)
    assert session.told[told]["skipped"] > 0
    await logs.close()


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import time; time.sleep(60)", "too_slow"),
        ("print('nonsense', flush=True)", "failed"),
        ("pass", "failed"),
        ("""print('{"code": "rotated", "error": "x"}', flush=True)""", "rotated"),
        ("print('x' * 2_000_000, flush=True)", "failed"),
    ],
)
async def test_a_follower_that_hangs_or_breaks_ends(says, monkeypatch, program, code):
    monkeypatch.setattr(followed, "SILENCE", 1.0)
    monkeypatch.setattr(followed, "PATIENCE", 1.0)
    says(program)
    session = Session()
    logs = Logs(session)
    await logs.methods["follow"].handler(ASKED)
    await until(lambda: session.ended)
    assert session.ended == code
    with pytest.raises(CallError) as refused:
        await logs.methods["read"].handler({"source": "journal"})
    assert refused.value.code == code
    await logs.close()


async def test_nobody_asks_again_and_it_ends(says, monkeypatch):
    monkeypatch.setattr(followed, "LEASE", 0.5)
    says(script(every=0.05))
    session = Session()
    logs = Logs(session)
    await logs.methods["follow"].handler(ASKED)
    await until(lambda: session.ended)
    assert session.ended == "left"


async def test_no_more_than_four_at_once_and_another_server_ends_them(says):
    says(script(every=0.05))
    session = Session()
    logs = Logs(session)
    for name in "abcd":
        await logs.methods["follow"].handler({**ASKED, "follow": name})
    for name in ("e", "a"):
        with pytest.raises(CallError) as refused:
            await logs.methods["follow"].handler({**ASKED, "follow": name})
        assert refused.value.code == "too_many"
    await logs.reset()
    await logs.methods["follow"].handler({**ASKED, "follow": "e"})
    await logs.close()

"""A core without a screen asks through the helper of whoever is there: real sockets, a real helper, a real window."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from desk_parts import ME, fake_loginctl
from xvfb_parts import click, display

from compagnon_agent import consent
from compagnon_agent.consent import Reply
from compagnon_agent.desk import channel, helper, people
from compagnon_agent.desk.channel import Ended
from compagnon_agent.desk.core import SOCKET_FILE, Desk, NoDesk
from compagnon_agent.protocol.messages import ConsentAnswer, ConsentSource, EndReason, OpenSession, SessionEnded
from compagnon_agent.question import question


def desk_of(*accounts: int) -> Desk:
    async def there() -> frozenset[int]:
        return frozenset(accounts)

    return Desk(there)


@asynccontextmanager
async def helping(desk: Desk, folder: Path, handlers):
    task = asyncio.create_task(helper.once(folder, handlers))
    try:
        async with asyncio.timeout(5):
            while not desk._helpers:
                await asyncio.sleep(0.01)
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def echo(exchange):
    await exchange.send({"got": exchange.payload["say"]}, b"bytes")
    event = await exchange.receive()
    await exchange.send({"then": event.payload["more"]}, event.body * 2)


async def test_both_sides_talk_until_one_ends(meeting):
    desk = desk_of(ME)
    async with desk.listening(meeting), helping(desk, meeting, {"echo": echo}):
        async with desk.open("echo", {"say": "é"}) as (exchange, person):
            assert person == people.account_name(ME)
            first = await exchange.receive()
            assert (first.payload, first.body) == ({"got": "é"}, b"bytes")
            await exchange.send({"more": 1}, b"ab")
            assert (await exchange.receive()).body == b"abab"
            with pytest.raises(Ended):
                await exchange.receive()
        for _ in range(channel.EXCHANGES + 5):  # ended exchanges leave nothing behind
            answer, _ = await desk.request("echo", {"say": "encore"})
            assert answer == {"got": "encore"}
    assert not (meeting / SOCKET_FILE).exists()


async def test_what_a_helper_cannot_do_is_no_answer(meeting):
    async def broken(_exchange):
        raise RuntimeError("no screen")

    desk = desk_of(ME)
    async with desk.listening(meeting), helping(desk, meeting, {"broken": broken}):
        for kind in ("broken", "unknown"):
            with pytest.raises(NoDesk):
                await desk.request(kind, {})
        async with desk.open("broken", {}) as (exchange, _):
            with pytest.raises(Ended, match="no screen"):
                await exchange.receive()


async def test_leaving_ends_what_the_helper_shows(meeting):
    ended = asyncio.Event()

    async def show(exchange):
        await exchange.send({"shown": True})
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    desk = desk_of(ME)
    async with desk.listening(meeting), helping(desk, meeting, {"show": show}):
        async with desk.open("show", {}) as (exchange, _):
            await exchange.receive()
        await asyncio.wait_for(ended.wait(), 5)


async def test_who_pours_out_loses_its_exchange_and_no_other(meeting):
    async def flood(exchange):
        for number in range(channel.WAITING * 3):
            await exchange.send({"number": number})

    desk = desk_of(ME)
    handlers = {"flood": flood, "echo": echo}
    async with desk.listening(meeting), helping(desk, meeting, handlers), desk.open("flood", {}):
        await asyncio.sleep(0.2)
        answer, _ = await desk.request("echo", {"say": "still"})
        assert answer == {"got": "still"}


async def test_only_who_is_at_the_screen_is_asked(meeting):
    desk = desk_of(ME + 4711)
    async with desk.listening(meeting), helping(desk, meeting, {"echo": echo}):
        with pytest.raises(NoDesk):
            await desk.request("echo", {"say": "x"})


@pytest.mark.skipif(ME != 0, reason="only root can start a helper of another account")
async def test_the_kernel_says_whose_helper_it_is(meeting):
    """A process of another account is asked as that account, whatever it says; the person at the screen stays first."""
    script = (
        "import asyncio, pathlib, sys\n"
        "from compagnon_agent.desk import helper\n"
        "async def lie(exchange):\n"
        "    await exchange.send({'granted': True})\n"
        "asyncio.run(helper.once(pathlib.Path(sys.argv[1]), {'ask': lie}))\n"
    )
    folder = Path(tempfile.mkdtemp(prefix="code-"))
    folder.chmod(0o755)
    shutil.copytree(Path(people.__file__).parents[1], folder / "compagnon_agent")
    desk, mine = desk_of(ME), desk_of(65534)
    for tried, allowed in ((desk, False), (mine, True)):
        async with tried.listening(meeting):
            process = await asyncio.create_subprocess_exec(
                "/usr/bin/env", "python3", "-c", script, str(meeting),
                cwd="/", user=65534, group=65534, extra_groups=[],
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{folder}:{_packages()}", "PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
            async with asyncio.timeout(20):
                while 65534 not in tried._helpers:
                    await asyncio.sleep(0.02)
            if allowed:
                assert (await tried.request("ask", {}))[0] == {"granted": True}
            else:
                with pytest.raises(NoDesk):
                    await tried.request("ask", {})
            process.kill()
            await process.wait()
    shutil.rmtree(folder)


def _packages() -> str:
    import psutil

    return str(Path(psutil.__file__).parents[1])


async def test_nonsense_from_a_helper_costs_only_its_connection(meeting):
    desk = desk_of(ME)
    async with desk.listening(meeting):
        for garbage in (
            b"\xff" * 64,
            b"\x00\x00\x00\x02\x00\x00\x00\x00[]",
            b'\x00\x00\x00\x09\x00\x00\x00\x00{"id":[]}',
        ):
            reader, writer = await asyncio.open_unix_connection(str(meeting / SOCKET_FILE))
            writer.write(garbage)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await writer.wait_closed()
        async with helping(desk, meeting, {"echo": echo}):
            assert (await desk.request("echo", {"say": "well"}))[0] == {"got": "well"}


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ({"granted": True}, Reply(granted=True, source=ConsentSource.DIALOG, person=people.account_name(ME))),
        (
            {"granted": False, "reason": "x" * 9000},
            Reply(granted=False, source=ConsentSource.DIALOG, reason=consent.SAID_NO, person=people.account_name(ME)),
        ),
        ({"granted": "true"}, Reply(granted=False, reason=consent.NOBODY)),
        ({}, Reply(granted=False, reason=consent.NOBODY)),
    ],
)
async def test_only_a_plain_yes_is_a_yes(meeting, make, monkeypatch, answer, reply):
    async def ask(exchange):
        await exchange.send(answer)

    monkeypatch.setattr(consent, "has_display", lambda: False)
    monkeypatch.setattr(consent, "has_terminal", lambda: False)
    desk = desk_of(ME)
    async with desk.listening(meeting), helping(desk, meeting, {"ask": ask}):
        assert await consent.ask(question(make.consent(make.manifest("true")), 60), desk) == reply


def test_sessions_of_logind():
    block = "User=1000\nType=wayland\nActive=yes\nRemote=no\nClass=user"
    assert people.active_account(people.properties(block)) == 1000
    for change in ("Active=no", "Remote=yes", "Class=greeter", "Type=tty", "Type=", "User=-1", "User=", "User=1e3"):
        assert people.active_account(people.properties(f"{block}\n{change}")) in (None, 1000)
        name = change.partition("=")[0]
        other = re.sub(rf"^{name}=.*$", change, block, flags=re.MULTILINE)
        assert people.active_account(people.properties(other)) is None, change


# -- a whole agent, a whole helper, a screen --------------------------------------------------------------------------


@pytest.fixture
def screen() -> Iterator[str]:
    with display("1024x768x24") as name:
        yield name


async def test_a_core_without_a_screen_asks_and_shows_its_banner(screen, meeting, speaking_server, runner, make):
    runner.policy('mode = "attended"\n')
    runner.extra |= {"COMPAGNON_AGENT_DESK": str(meeting), "PATH": fake_loginctl(meeting)}
    await runner.start()
    await speaking_server.connected()
    helps = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "compagnon_agent.cli", "helper", env={**runner.environment, "DISPLAY": screen}
    )
    try:
        await speaking_server.until(lambda: "is there" in runner.log)
        session_id = secrets.token_hex(16)
        await speaking_server.send(make.consent(session_id=session_id))
        await click(screen, "votre accord est", 190, 34)
        answer = await speaking_server.expect(ConsentAnswer)
        assert (answer.granted, answer.source, answer.person) == (True, ConsentSource.DIALOG, people.account_name(ME))
        who = {"ticket_id": 7, "member_id": 1, "member_name": "Alice", "reason": "Voir"}
        await speaking_server.send(OpenSession(session_id=session_id, **who))
        await speaking_server.until(lambda: speaking_server.terminals.get(session_id))
        await click(screen, "^Compagnon$", 45, 25)
        ended = await speaking_server.expect(SessionEnded)
        assert ended.reason is EndReason.CLIENT
    finally:
        helps.terminate()
        await helps.wait()

"""Terminals of a real agent process: a real shell, cut links, a server that forgets, Stop at the machine."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path

import pytest

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.messages import (
    ConsentAnswer,
    ConsentWithdrawn,
    EndReason,
    OpenSession,
    SessionEnded,
    SessionRefused,
)
from compagnon_agent.protocol.stream import Stream


def open_session(session_id: str, **fields) -> OpenSession:
    given = {
        "session_id": session_id,
        "ticket_id": 7,
        "member_id": 1,
        "member_name": "Alice",
        "reason": "Voir",
        "columns": 100,
        "rows": 30,
    }
    return OpenSession(**{**given, **fields})


@pytest.fixture
async def ready(speaking_server, runner):
    runner.extra["COMPAGNON_AGENT_SESSION_GRACE"] = "3"
    await runner.start()
    await speaking_server.connected()
    return speaking_server


async def terminal_on(server, make, **fields):
    session_id = secrets.token_hex(16)
    await server.send(make.consent(session_id=session_id, **fields))
    assert (await server.expect(ConsentAnswer)).granted
    await server.send(open_session(session_id))
    terminal = await server.until(lambda: server.terminals.get(session_id))
    return session_id, terminal


async def test_a_shell_types_resizes_and_exits(ready, make):
    session_id, terminal = await terminal_on(ready, make)
    await terminal.type("stty size; echo $TERM; tty; echo $((6*7))é\n")
    await terminal.shows("30 100")
    await terminal.shows("xterm-256color")
    await terminal.shows("/dev/pts/")
    await terminal.shows("42é")
    await terminal.frame(frames.resize(132, 50))
    await terminal.type("stty size\n")
    await terminal.shows("50 132")
    await terminal.type("exit 5\n")
    async with asyncio.timeout(10):
        while terminal.exit_code is None:
            await asyncio.sleep(0.02)
    assert terminal.exit_code == 5
    await terminal.frame(frames.close("member"))
    ended = await ready.expect(SessionEnded)
    assert (ended.session_id, ended.exit_code) == (session_id, 5)


async def test_control_c_reaches_the_foreground_program(ready, make):
    _, terminal = await terminal_on(ready, make)
    await terminal.type("sleep 100\n")
    await asyncio.sleep(0.5)
    await terminal.type("\x03")
    await terminal.type("echo encore $((20+3))\n")
    await terminal.shows("encore 23")
    await terminal.type("sleep 100\n")
    await asyncio.sleep(0.5)
    await terminal.frame(frames.signal("INT"))
    await terminal.type("echo toujours $((20+4))\n")
    await terminal.shows("toujours 24")


async def test_a_cut_loses_and_doubles_nothing(ready, make):
    _, terminal = await terminal_on(ready, make)
    await terminal.type("stty -echo; PS1=; echo pr''êt\n")
    await terminal.shows("prêt\r\n")
    await terminal.type("i=0; while [ $i -lt 60000 ]; do echo ligne $i; i=$((i+1)); done; echo FIN\n")
    for cut in range(1, 4):
        size = len(terminal.recorded)
        async with asyncio.timeout(10):
            while terminal.connections < cut or len(terminal.recorded) < size + 50_000:
                await asyncio.sleep(0.001)
        terminal.socket.transport.abort()
    await terminal.shows("\nFIN\r\n", timeout=30)
    text = terminal.recorded.decode()
    numbers = [int(line.split()[1]) for line in text.splitlines() if line.startswith("ligne ")]
    assert numbers == list(range(60000))
    assert terminal.missing == 0
    assert terminal.connections == 4


async def test_the_shell_is_still_there_after_a_server_restart(ready, make):
    session_id, terminal = await terminal_on(ready, make)
    await terminal.type("secret=$((100+23)); echo prêt $((1+1))\n")
    await terminal.shows("prêt 2")
    recorded = len(terminal.recorded)
    await ready.stop()
    terminal.stream = Stream(received_at=recorded)  # a new process that knows only its recording
    await ready.start()
    await ready.connected(2)
    await ready.until(lambda: terminal.connections >= 2)
    await terminal.type("echo valeur $secret\n")
    await terminal.shows("valeur 123")
    assert terminal.missing == 0
    assert ready.terminals[session_id] is terminal


async def test_a_slow_reader_holds_the_program_back(ready, make):
    _, terminal = await terminal_on(ready, make)
    await terminal.type("stty -echo; PS1=; echo pr''êt\n")
    await terminal.shows("prêt\r\n")
    original, seen = terminal.stream.consumed, []
    terminal.stream.consumed = seen.append  # received, but never dealt with: no credit is given
    await terminal.type("yes 0123456789012345678901234567890123456789 | head -c 5000000; echo; echo FIN-$((1+1))\n")
    await asyncio.sleep(2)
    assert sum(seen) <= 256 * 1024
    assert b"FIN-2" not in terminal.recorded
    terminal.stream.consumed = original
    terminal.stream.consumed(sum(seen))
    await terminal.flush()
    await terminal.shows("FIN-2", timeout=60)
    assert terminal.recorded.count(b"0123456789") >= 5_000_000 // 41 * 4


async def test_a_lost_link_ends_the_shell_in_the_end(ready, make):
    session_id, terminal = await terminal_on(ready, make)
    await terminal.type("echo pid=$$\n")
    await terminal.shows("pid=")
    ready.accepts_sessions = False
    terminal.socket.transport.abort()
    ended = await ready.expect(SessionEnded, timeout=30)
    assert (ended.session_id, ended.reason) == (session_id, EndReason.LOST)


async def test_stop_at_the_machine_ends_it_and_takes_the_consent_back(ready, runner, make):
    session_id, terminal = await terminal_on(ready, make)
    await terminal.type("echo $((5*5))\n")
    await terminal.shows("25")
    assert "Alice travaille sur cet ordinateur" in runner.log or "Alice works on this computer" in runner.log
    code, said = await runner.command("status")
    assert f"Open session: Alice, ticket 7, terminal ({session_id[:8]})" in said
    code, said = await runner.command("stop-session", "files")
    assert (code, said) == (1, "no session files is open\n")
    code, said = await runner.command("stop-session", session_id[:8])
    assert (code, said) == (0, "Stopped sessions: 1\n")
    assert (await ready.expect(ConsentWithdrawn)).session_id == session_id
    ended = await ready.expect(SessionEnded)
    assert ended.reason is EndReason.CLIENT
    assert terminal.closed == "client"
    await ready.send(open_session(session_id))
    refused = await ready.expect(SessionRefused)
    assert refused.needs_consent


async def test_the_server_can_end_it_on_the_control_connection(ready, make):
    session_id, _ = await terminal_on(ready, make)
    await ready.send(SessionEnded(session_id=session_id, reason=EndReason.TICKET))
    assert (await ready.expect(SessionEnded)).reason is EndReason.TICKET


async def test_no_children_are_left(ready, make):
    session_id, terminal = await terminal_on(ready, make)
    await terminal.type("nohup sleep 1000 >/dev/null 2>&1 & echo fils=$!.\n")
    child = await terminal.number("fils")
    assert Path(f"/proc/{child}").exists()
    await ready.send(SessionEnded(session_id=session_id, reason=EndReason.MEMBER))
    await ready.expect(SessionEnded)
    async with asyncio.timeout(5):
        while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text():
            await asyncio.sleep(0.05)


async def test_without_consent_there_is_no_terminal(ready, runner, make):
    runner.policy('mode = "attended"\n')
    await ready.send(open_session(secrets.token_hex(16)))
    refused = await ready.expect(SessionRefused)
    assert refused.needs_consent
    session_id = secrets.token_hex(16)
    await ready.send(make.consent(session_id=session_id))
    assert not (await ready.expect(ConsentAnswer)).granted
    assert ready.terminals == {}


async def test_a_consent_is_for_one_session(ready, make):
    _, _ = await terminal_on(ready, make)
    await ready.send(open_session(secrets.token_hex(16)))
    assert (await ready.expect(SessionRefused)).needs_consent


async def test_an_unknown_capability_is_refused(ready, make):
    session_id = secrets.token_hex(16)
    await ready.send(make.consent(session_id=session_id, capability="screen"))
    await ready.expect(ConsentAnswer)
    await ready.send(open_session(session_id, capability="screen"))
    assert "no screen" in (await ready.expect(SessionRefused)).reason


async def test_stopping_the_agent_ends_its_shells(ready, runner, make):
    _, terminal = await terminal_on(ready, make)
    await terminal.type("echo pid=$$.\n")
    shell = await terminal.number("pid")
    os.kill(shell, 0)
    assert await runner.stop() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(shell, 0)
    assert terminal.closed == "lost"

"""The banner's button for a link: what an agent asks, says and shows; servers that are old, silent or hostile."""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
from collections.abc import Iterator

import pytest
from desk_parts import fake_loginctl
from xvfb_parts import click, clipboard, display, x

from compagnon_agent import banner
from compagnon_agent.audit import AuditLog
from compagnon_agent.protocol.messages import ConsentAnswer, OpenSession, WatchLink, WatchProblem, WatchRequest, decode
from compagnon_agent.protocol.wire import WireError
from compagnon_agent.sessions import watching
from compagnon_agent.sessions.watching import Watching

ADDRESS = "https://compagnon.example/w#abcd-efgh-jkmn"
SESSION = "ab" * 16


class Server:
    """Answers, or not, as it is told."""

    def __init__(self, tmp_path, **answer):
        self.asked = []
        self.answer = answer
        self.watching = Watching(audit=AuditLog(tmp_path), send=self._hear)

    def _hear(self, request):
        self.asked.append(request)
        if self.answer:
            reply = WatchLink(**{"request_id": request.request_id, **self.answer})
            asyncio.get_running_loop().call_soon(self.watching.answered, reply)


async def test_an_address_is_asked_for_once_as_long_as_it_holds(tmp_path):
    server = Server(tmp_path, address=ADDRESS, seconds=3600)
    first, second = await server.watching.ask(SESSION), await server.watching.ask(SESSION)
    assert first == {"address": ADDRESS, "seconds": 3599}
    assert second["address"] == ADDRESS
    assert len(server.asked) == 1
    server.watching.forget(SESSION)
    await server.watching.ask(SESSION)
    assert len(server.asked) == 2
    assert ADDRESS[-14:] not in (tmp_path / "audit.jsonl").read_text()


async def test_one_that_is_about_to_expire_is_asked_for_anew(tmp_path):
    server = Server(tmp_path, address=ADDRESS, seconds=30)
    await server.watching.ask(SESSION)
    await server.watching.ask(SESSION)
    assert len(server.asked) == 2


async def test_silence_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "PATIENCE", 0.05)
    server = Server(tmp_path)
    assert await server.watching.ask(SESSION) == {"problem": WatchProblem.LATER}
    server.watching.answered(WatchLink(request_id=server.asked[0].request_id, address=ADDRESS, seconds=60))
    server.watching.answered(WatchLink(request_id="0" * 36, address=ADDRESS, seconds=60))
    assert await server.watching.ask(SESSION) == {"problem": WatchProblem.LATER}, "what comes too late is not kept"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://a.example/ \u202egnp.x",
        "https://a.example/\u0430",
        "x",
    ],
)
async def test_what_is_no_address_is_not_shown(tmp_path, address):
    server = Server(tmp_path, address=address, seconds=3600)
    assert await server.watching.ask(SESSION) == {"problem": WatchProblem.LATER}


async def test_a_disk_that_takes_nothing_asks_for_nothing(tmp_path, monkeypatch):
    server = Server(tmp_path, address=ADDRESS, seconds=3600)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(server.watching._audit, "record", full)
    assert await server.watching.ask(SESSION) == {"problem": WatchProblem.LATER}
    assert server.asked == []


@pytest.mark.parametrize("problem", [*WatchProblem][1:])
def test_every_problem_has_words_in_both_languages(problem, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    french = banner.link_words({"problem": problem})["note"]
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    assert french != banner.link_words({"problem": problem})["note"]


@pytest.mark.parametrize("link", [{}, {"address": 3, "seconds": 4}, {"address": ADDRESS}, {"problem": "new"}])
def test_a_core_that_says_something_else_is_a_problem(link):
    assert set(banner.link_words(link)) == {"note"}


def test_without_the_servers_word_there_is_no_button():
    assert OpenSession(session_id=SESSION, ticket_id=1, member_id=1, member_name="A", reason="r").watch is False
    assert "watch" not in banner.texts("x", lower=False, watch=False)
    assert {"watch", "copy", "copied"} <= set(banner.texts("x", lower=False, watch=True))


def test_messages_of_other_versions():
    old = '{"v":1,"type":"open_session","session_id":"%s","ticket_id":1,"member_id":1,"member_name":"A","reason":"r"}'
    assert decode(old % SESSION) == OpenSession(
        session_id=SESSION, ticket_id=1, member_id=1, member_name="A", reason="r"
    )
    newer = (old % SESSION).replace('"reason"', '"watch":true,"later":"x","reason"')
    assert decode(newer).watch is True
    with pytest.raises(WireError):
        decode('{"v":1,"type":"watch_link","request_id":"12345678","problem":"?"}')


# -- on a screen


@pytest.fixture
def screen() -> Iterator[str]:
    with display("1024x768x24") as name:
        yield name


async def width(screen: str) -> int:
    window = (await x(screen, "search", "--sync", "--onlyvisible", "--name", "^Compagnon$")).split()[0]
    return int(re.search(r"WIDTH=(\d+)", await x(screen, "getwindowgeometry", "--shell", window))[1])


async def banner_of(server, make, *, watch, granted_by_click=""):
    session_id = secrets.token_hex(16)
    await server.send(make.consent(session_id=session_id))
    if granted_by_click:
        await click(granted_by_click, "votre accord est", 190, 34)
    assert (await server.expect(ConsentAnswer)).granted
    who = {"ticket_id": 7, "member_id": 1, "member_name": "Alice", "reason": "Voir"}
    await server.send(OpenSession(session_id=session_id, watch=watch, **who))
    await server.until(lambda: server.terminals.get(session_id))
    return session_id


async def test_an_old_server_gets_an_old_banner(screen, speaking_server, runner, make):
    runner.extra["DISPLAY"] = screen
    await runner.start()
    await speaking_server.connected()
    await banner_of(speaking_server, make, watch=False)
    await click(screen, "^Compagnon$", 190, 25)
    await asyncio.sleep(1)
    assert not [one for one in speaking_server.inbox if isinstance(one, WatchRequest)]


async def test_pressed_shown_and_copied_and_stop_still_stops(screen, speaking_server, runner, make):
    runner.extra["DISPLAY"] = screen
    await runner.start()
    await speaking_server.connected()
    session_id = await banner_of(speaking_server, make, watch=True)
    before = await width(screen)
    await click(screen, "^Compagnon$", 190, 25)
    request = await speaking_server.expect(WatchRequest)
    assert request.session_id == session_id
    await speaking_server.send(WatchLink(request_id=request.request_id, address=ADDRESS, seconds=3600))
    async with asyncio.timeout(10):
        while await width(screen) == before:
            await asyncio.sleep(0.1)
    await click(screen, "^Compagnon$", 57, 86)
    assert await clipboard(screen) == ADDRESS


async def test_through_the_helper_of_whoever_is_at_the_screen(screen, meeting, speaking_server, runner, make):
    runner.policy('mode = "attended"\n')
    runner.extra |= {"COMPAGNON_AGENT_DESK": str(meeting), "PATH": fake_loginctl(meeting)}
    await runner.start()
    await speaking_server.connected()
    helps = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "compagnon_agent.cli", "helper", env={**runner.environment, "DISPLAY": screen}
    )
    try:
        await speaking_server.until(lambda: "is there" in runner.log)
        session_id = await banner_of(speaking_server, make, watch=True, granted_by_click=screen)
        await click(screen, "^Compagnon$", 190, 25)
        request = await speaking_server.expect(WatchRequest)
        assert request.session_id == session_id
        await speaking_server.send(WatchLink(request_id=request.request_id, address=ADDRESS, seconds=3600))
        async with asyncio.timeout(10):
            while await width(screen) < 560:
                await asyncio.sleep(0.1)
        await click(screen, "^Compagnon$", 57, 86)
        assert await clipboard(screen) == ADDRESS
    finally:
        helps.terminate()
        await helps.wait()

"""Sessions over a network that loses real packets: server, agent and browser in network namespaces of their own.

Short here; ``COMPAGNON_BENCH_CUT=60`` cuts for a minute, in both directions and in each alone, and says what it took.
"""

import asyncio
import hashlib
import os
import re
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from kill_parts import World, world
from playwright.async_api import expect
from remote_parts import Page, screen, until
from up_parts import as_url, new_up
from wan_parts import SERVER, Wan, wan
from wired_fixtures import PASSWORD

pytestmark = pytest.mark.timeout(400)
CUT = float(os.environ.get("COMPAGNON_BENCH_CUT", "0"))
SECONDS = CUT or 8
WAYS = ("both", "up", "down") if CUT else ("both",)
TOLD_WITHIN = 9.0  # seconds until the pages say that the line is cut
BACK_WITHIN = 2.0  # seconds from the network's return until the session goes on
LOSSES = (0.05, 0.2) if CUT else (0.05,)
FILE = 2_000_000 if CUT else 150_000


@pytest.fixture
def net(monkeypatch, tmp_path):
    """Browsers are started at the page's end of its line."""
    with wan() as made:
        chromium = os.environ.get("COMPAGNON_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
        if chromium:
            there = tmp_path / "chromium"
            there.write_text(f'#!/bin/sh\nexec {" ".join(made.page.space.command)} {chromium} "$@"\n')
            there.chmod(0o755)
            monkeypatch.setenv("COMPAGNON_CHROMIUM", str(there))
        yield made


@dataclass(slots=True, kw_only=True)
class Here:
    world: World
    net: Wan
    url: str

    async def terminal(self) -> Page:
        page = await self.world.open_terminal(self.url)
        await until(lambda: (page.last("welcome") or {}).get("agent") or page.last("link"), what="the agent is there")
        return page


@pytest.fixture
async def here(net, database, tmp_path):
    with new_up() as up:
        url = f"http://{SERVER}:{up.port}"
        up.environ = {
            "COMPAGNON_DATABASE_URL": as_url(database), "COMPAGNON_HOST": "0.0.0.0", "COMPAGNON_PUBLIC_URL": url,
        }  # fmt: skip
        within = tuple(net.agent.space.command)
        async with world(up, tmp_path / "agent", database=database, through=url, agent_within=within) as made:
            yield Here(world=made, net=net, url=url)


@dataclass(slots=True)
class Watch:
    """Seconds since something happened, kept by name, and printed."""

    took: dict[str, float] = field(default_factory=dict)

    @asynccontextmanager
    async def of(self, name: str):
        begun = time.monotonic()
        yield
        self.took[name] = round(time.monotonic() - begun, 2)

    def told(self, about: str) -> None:
        print(f"\n{about}: {self.took}")


async def print_lines(page: Page, count: int) -> None:
    """Twenty numbered lines a second, after the shell has said which one it is."""
    await page.type(f"echo shell-$$-; for i in $(seq 1 {count}); do echo line-$i-; sleep 0.05; done; echo all''done\r")
    await page.see("line-20-")


def whole(text: str, count: int) -> None:
    assert [i for i in range(1, count + 1) if text.count(f"line-{i}-") != 1] == [], "each line once"


@pytest.mark.parametrize("way", WAYS)
async def test_the_agents_line_is_cut_without_a_word(here, way):
    """Nothing is closed, nothing refused: packets do not arrive any more, for a while."""
    page, line, watch = await here.terminal(), here.net.agent.line, Watch()
    count = int(20 * (SECONDS + 8))
    await print_lines(page, count)
    async with watch.of("told"):
        line.cut(up=way != "down", down=way != "up")
        await page.type("echo typed''meanwhile\r")
        await until(lambda: (page.last("link") or {}).get("agent") is False, seconds=20, what="the page is told")
    assert watch.took["told"] < TOLD_WITHIN
    assert page.arrived < len(page.typed), "what was typed is still the page's to show"
    mended = asyncio.get_running_loop().time() + SECONDS - watch.took["told"]
    while asyncio.get_running_loop().time() < mended:
        await page.socket.send('{"type": "ping"}')  # as a browser's does: who is silent is taken for gone
        await asyncio.sleep(1)
    seen = len(page.output)
    async with watch.of("back"):
        line.mend()
        await until(lambda: len(page.output) > seen, what="it goes on")
    await page.see("alldone", seconds=60)
    await page.see("typedmeanwhile")
    await page.type("echo shell-$$-\r")
    await until(lambda: len(re.findall(rb"shell-\d+-", page.output)) == 2, what="the shell answers")
    assert len(set(re.findall(rb"shell-(\d+)-", page.output))) == 1, "the same shell"
    for text in (bytes(page.output).decode(), here.world.recorded().decode()):
        whole(text, count)
        assert text.count("typedmeanwhile") == 1
    watch.told(f"agent cut for {SECONDS:.0f} s, {way}; {line.up.lost} + {line.down.lost} packets lost")
    assert watch.took["back"] < BACK_WITHIN
    await page.close()


async def test_stop_at_the_machine_ends_a_shell_whose_line_is_dead(here):
    """Its buffers are full, and nobody takes anything out of them: the person at the machine does not wait for that."""
    page = await here.terminal()
    await page.type("echo shell-$$-; yes some words to fill every buffer on the way\r")
    await until(lambda: len(page.output) > 300_000)
    shell = int(re.search(rb"shell-(\d+)-", page.output)[1])
    here.net.agent.line.cut()
    await asyncio.sleep(2)
    status, output = await here.world.agent.cli("stop-session")
    assert status == 0, output
    await until(lambda: not Path(f"/proc/{shell}").exists(), seconds=8, what="the shell is gone")
    here.net.agent.line.mend()
    await until(lambda: page.last("ended"), seconds=30, what="the page hears of it")
    await page.close()


async def test_the_machine_gets_another_address(here):
    """Wi-Fi to cable, another network: the old address is gone, and no packet says so."""
    page, watch = await here.terminal(), Watch()
    await print_lines(page, 300)
    here.net.agent.moves(99)
    seen = len(page.output)
    async with watch.of("back"):
        await until(lambda: len(page.output) > seen + 60, seconds=20, what="it goes on")
    await page.see("alldone", seconds=60)
    for text in (bytes(page.output).decode(), here.world.recorded().decode()):
        whole(text, 300)
    watch.told("another address")
    await page.close()


async def sent_and_fetched(here: Here, folder, data: bytes) -> None:
    """A file up and down again, the same bytes."""
    alice = here.world.alice
    form = {"ticket_id": here.world.ticket, "reason": "Copier", "capability": "files"}
    answer = await alice.post(f"/machines/{here.world.agent.machine_id}/sessions", data=form)
    base = answer.headers["location"]

    async def is_open() -> bool:
        return (await alice.post(f"{base}/ticket")).json()["state"] == "open"

    await until(is_open, seconds=30, what="the session is open")
    about = {"key": quote(str(folder)), "names": ["x.bin"], "size": len(data), "modified": 1}
    token = (await alice.post(f"{base}/files/uploads", json=about)).json()["token"]
    answer = await alice.put(f"{base}/files/uploads/{token}?start=0", content=data, timeout=200)
    assert answer.json()["have"] == len(data)
    digest = hashlib.sha256(data).hexdigest()
    answer = await alice.post(f"{base}/files/uploads/{token}/end", json={"sha256": digest}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert (folder / "x.bin").read_bytes() == data
    path = quote(quote(str(folder / "x.bin")))
    answer = await alice.get(f"{base}/files/download?path={path}", timeout=200)
    assert hashlib.sha256(answer.content).hexdigest() == digest


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_bad_line_loses_doubles_delays_and_reorders(here, tmp_path, loss):
    page, line, watch = await here.terminal(), here.net.agent.line, Watch()
    line.bad(loss=loss, delay=0.1, jitter=0.05, doubled=0.05)
    await page.type("stty -echo; PS1=\r")
    async with watch.of("twenty echoes"):
        for number in range(20):
            await page.type(f"echo reply-$(({number}))-\r")
            await page.see(f"reply-{number}-", seconds=60)
    await page.type("stty echo; seq -f 'line-%.0f-' 1 4000; echo all''done\r")
    await page.see("alldone", seconds=120)
    for text in (bytes(page.output).decode(), here.world.recorded().decode()):
        whole(text, 4000)
    async with watch.of(f"{FILE} bytes up and down"):
        await sent_and_fetched(here, tmp_path, os.urandom(FILE))
    watch.told(f"{loss:.0%} lost, 100 ± 50 ms each way, 5 % doubled")
    await page.close()


# -- what a person sees -----------------------------------------------------------------------------------------------


@pytest.fixture
async def shown(here, browser):
    """Alice's browser, with a terminal that prints."""
    opened = await here.terminal()
    await opened.close()
    context = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 860})
    page = await context.new_page()
    await page.goto(here.url + "/sign-in")
    await page.fill("input[name=email]", here.world.cast.alice.email)
    await page.fill("input[name=password]", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(here.url + "/")
    await page.goto(f"{here.url}/sessions/{opened.session_id}")
    await page.wait_for_selector('#link-state[data-tone="ok"]')
    await page.locator(".xterm-helper-textarea").focus()
    yield page
    await context.close()


@pytest.mark.browser
@pytest.mark.parametrize("where", ["agent", "page"])
@pytest.mark.parametrize("way", WAYS)
async def test_the_page_says_it_shows_what_waits_and_goes_on(here, shown, where, way):
    page, line, watch = shown, getattr(here.net, where).line, Watch()
    count = int(20 * (SECONDS + 8))
    await page.keyboard.type(f"for i in $(seq 1 {count}); do echo line-$i-; sleep 0.05; done; echo all''done\n")
    await until(lambda: has(page, "line-20-"), what="it prints")
    async with watch.of("told"):
        line.cut(up=way != "down", down=way != "up")
        async with watch.of("apart"):
            await page.keyboard.type("echo typed''meanwhile\n")
            await expect(page.locator("#typed")).to_be_visible(timeout=15_000)
        await expect(page.locator("#link-state")).not_to_have_attribute("data-tone", "ok", timeout=20_000)
    await expect(page.locator("#typed-text")).to_contain_text("echo typed''meanwhile")
    await asyncio.sleep(max(0.0, SECONDS - watch.took["told"]))
    line.mend()
    async with watch.of("back"):
        await page.wait_for_selector('#link-state[data-tone="ok"]', timeout=30_000)
    await until(lambda: has(page, "typedmeanwhile"), seconds=60, what="what was typed arrives")
    await until(lambda: has(page, "alldone"), seconds=60)
    assert await page.is_hidden("#typed")
    for text in (await screen(page), here.world.recorded().decode()):
        whole(text, count)
        assert text.count("typedmeanwhile") == 1
    watch.told(f"{where}'s line cut for {SECONDS:.0f} s, {way}")
    assert watch.took["told"] < TOLD_WITHIN
    assert watch.took["back"] < BACK_WITHIN


async def has(page, text: str) -> bool:
    return text in await screen(page)

"""The story's parts: a library in force, a client's machine with a person in front of it, members' browsers."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect
from playwright.async_api import TimeoutError as NotThere
from shell_parts import own_shell
from wired_fixtures import PASSWORD, Cast

from compagnon.app.demo_machine import DemoRoot, prepare
from compagnon.app.wiring import Services
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.directory.model import ClientKind, NewContact, NewSite
from procedures import starter

ENVIRONMENT = "poste-debian-12"
IN_FORCE = (ENVIRONMENT, "imp-001", "imp-002", "srv-001")
CLIENT = "Menuiserie Le Goff"
PHONE = "02 61 91 00 01"


async def publish(services: Services, cast: Cast, codes: Sequence[str]) -> None:
    """The whole starter library as drafts (procedures name one another), these in force, by two real approvals."""
    library = services.procedures.library
    drafts = [await library.import_text(text.text, cast.alice) for text in starter.texts("fr")]
    for draft in [draft for draft in drafts if draft.code in codes]:
        await library.submit(draft.id, cast.alice, seen=draft.digest)
        for reviewer in (cast.chloe, cast.david):
            await library.approve(draft.id, reviewer, password=PASSWORD, seen=draft.digest)
        await library.publish(draft.id, cast.chloe, seen=draft.digest)


@dataclass(slots=True, kw_only=True)
class ClientMachine:
    """A disposable machine with a broken printing queue, a real agent, and a person at its terminal who is asked."""

    root: DemoRoot
    folder: Path
    machine_id: int = 0
    process: asyncio.subprocess.Process | None = None
    screen: str = ""
    _terminal: int = -1
    _read: int = field(default=0)

    def _command(self, *arguments: str) -> list[str]:
        return [*self.root.argv_prefix, sys.executable, "-m", "compagnon_agent.cli", *arguments]

    def _environment(self) -> dict[str, str]:
        fast = {"COMPAGNON_AGENT_BACKOFF_BASE": "0.1", "COMPAGNON_AGENT_BACKOFF_CAP": "0.5"}
        plain = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
        own = {"COMPAGNON_AGENT_DIR": str(self.folder), "COMPAGNON_AGENT_SHELL": own_shell(self.folder)}
        return {**plain, **fast, **own, "LANG": "C.UTF-8"}

    async def run(self, *arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command(*arguments),
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()

    async def start(self) -> None:
        """Run the agent in a terminal of its own, where it asks."""
        self._terminal, theirs = pty.openpty()
        self.process = await asyncio.create_subprocess_exec(
            *self._command("run"),
            env=self._environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        asyncio.get_running_loop().add_reader(self._terminal, self._receive)

    def _receive(self) -> None:
        try:
            self.screen += os.read(self._terminal, 65536).decode(errors="replace")
        except OSError:
            asyncio.get_running_loop().remove_reader(self._terminal)

    async def asked(self, *, about: str) -> str:
        """Wait until the person is asked about this; what is on the screen since the last question."""
        try:
            async with asyncio.timeout(30):
                while not (about in self._new() and re.search(r"\[n\][^\n]*$", self._new())):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"nobody was asked about {about!r}; the machine's terminal shows:\n{self._new()}")
        question = self._new()
        self._read = len(self.screen)
        return question

    def _new(self) -> str:
        return self.screen[self._read :]

    def answer(self, word: str) -> None:
        os.write(self._terminal, word.encode() + b"\n")

    async def stop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._terminal >= 0:
            loop.remove_reader(self._terminal)
        if self.process and self.process.returncode is None:
            self.process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), 10)
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()
        if self._terminal >= 0:
            os.close(self._terminal)


async def enrolled(services: Services, cast: Cast, url: str, folder: Path) -> ClientMachine:
    """A new client with one machine, enrolled by a code and approved."""
    base = folder / "machine"
    root = await asyncio.to_thread(prepare, base / "root", share=[base / "agent"])
    if root.kind == "none":
        pytest.skip(f"needs a disposable root: {root.note}")
    client = await services.kernel.directory.add_client(
        kind=ClientKind.COMPANY,
        name=CLIENT,
        actor=Actor.member(cast.alice.id),
        phones=(PHONE,),
        sites=(NewSite(town="Rennes", postcode="35000"),),
        contacts=(NewContact(name="Camille Perrin"),),
    )
    machines = services.remote.machines
    offer = await machines.offer(cast.alice, client.id, environment=ENVIRONMENT)
    machine = ClientMachine(root=root, folder=base / "agent")
    await machine.run("enroll", url, offer.code, "--name", "Poste accueil")
    machine.machine_id = int(json.loads((machine.folder / "identity.json").read_text())["machine_id"])
    await machines.approve(cast.ada, machine.machine_id, name="Poste accueil", site_id=None, environment=ENVIRONMENT)
    return machine


async def known_to_drift(services: Services, machine: ClientMachine) -> None:
    """Wait until the agent's first comparison with the environment has arrived."""
    async with asyncio.timeout(30):
        while not await services.remote.machines.failing_checks(machine.machine_id):
            await asyncio.sleep(0.1)


class Person:
    """A member with a browser of their own."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    async def goes(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def clicks(self, name: str, *, role: Any = "button", exact: bool = False) -> None:
        try:
            await self.page.get_by_role(role, name=name, exact=exact).first.click(timeout=15_000)
        except NotThere:
            shown = await self.page.locator("main").inner_text()
            pytest.fail(f"no {role} {name!r} on {self.page.url}, which shows:\n{shown}")

    async def sees(self, text: str, *, seconds: float = 20) -> None:
        await expect(self.page.get_by_text(text).first).to_be_visible(timeout=seconds * 1000)


@dataclass(slots=True, kw_only=True)
class Browsers:
    browser: Browser
    url: str
    contexts: list[BrowserContext] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def sign_in(self, member: Member) -> Person:
        context = await self.browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 860})
        self.contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))
        await page.goto(self.url + "/sign-in")
        await page.fill("input[name=email]", member.email)
        await page.fill("input[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(self.url + "/")
        return Person(page, self.url)

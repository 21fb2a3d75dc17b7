"""The demo's live agent: a real one, enrolled over the real server, in a disposable root of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from compagnon.app.demo import name_machine
from compagnon.app.demo_machine import DemoRoot, prepare
from compagnon.app.server import Server
from compagnon.app.wiring import Services
from compagnon.auth.model import Member
from compagnon.errors import AppError

NAME = "Poste de démonstration"
ENVIRONMENT = "poste-debian-12"
POLICY = """# The demo's machine is disposable: its files are a copy, and nothing of the real machine changes.
mode = "unattended-demo"
note = "Machine jetable de la démonstration / disposable demo machine"
"""
SETTLE = 10.0  # seconds an agent has to end by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAgent:
    """Where the agent lives and how it is started."""

    folder: Path
    root: DemoRoot
    public_url: str

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "COMPAGNON_AGENT_DIR": str(self.folder)}

    def command(self, *arguments: str) -> list[str]:
        return [*self.root.argv_prefix, sys.executable, "-m", "compagnon_agent.cli", *arguments]

    def machine_id(self) -> int | None:
        """The machine this folder is enrolled as, on this very server."""
        try:
            identity = json.loads((self.folder / "identity.json").read_text())
        except (OSError, ValueError):
            return None
        return int(identity["machine_id"]) if identity.get("server") == self.public_url else None


@asynccontextmanager
async def beside(
    services: Services, server: Server, owner: Member, client_id: int, say: Callable[[str], None]
) -> AsyncIterator[None]:
    """Inside the block, once the server answers, an agent of this machine is enrolled and runs."""
    task = asyncio.create_task(_live(services, server, owner, client_id, say), name="demo agent")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _live(services: Services, server: Server, owner: Member, client_id: int, say: Callable[[str], None]) -> None:
    agent = await asyncio.to_thread(_prepare, services)
    await server.ready.wait()
    try:
        machine_id = await _enrolled(services, agent, owner, client_id)
    except (AppError, RuntimeError) as error:
        say(f"No demo agent: {error}")
        return
    say(f"Agent enrolled: {services.kernel.settings.public_url}/machines/{machine_id}. {agent.root.note}")
    await _keep_running(agent, say)


def _prepare(services: Services) -> DemoAgent:
    settings = services.kernel.settings
    base = settings.data_dir / "demo"
    folder = base / "agent"
    root = prepare(base / "root", share=[folder], hide=[settings.data_dir])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    policy = folder / "policy.toml"
    if root.kind == "none":  # on the real machine the agent asks before every change, whatever an earlier start wrote
        policy.unlink(missing_ok=True)
    else:
        policy.write_text(POLICY)
    return DemoAgent(folder=folder, root=root, public_url=settings.public_url)


async def _enrolled(services: Services, agent: DemoAgent, owner: Member, client_id: int) -> int:
    machines = services.remote.machines
    known = agent.machine_id()
    if known is not None and await machines.find(known) is not None:
        return known
    for name in ("identity.json", "key.pem"):
        (agent.folder / name).unlink(missing_ok=True)
    offer = await machines.offer(owner, client_id, environment=ENVIRONMENT)
    await _run_once(agent, "enroll", agent.public_url, offer.code, "--name", NAME)
    machine_id = agent.machine_id()
    if machine_id is None:
        raise RuntimeError("the agent did not keep its identity")
    await machines.approve(owner, machine_id, name=NAME, site_id=None, environment=ENVIRONMENT)
    await name_machine(services, client_id, owner, machine_id)
    return machine_id


async def _run_once(agent: DemoAgent, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *agent.command(*arguments),
        env=agent.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(output.decode(errors="replace").strip() or f"status {process.returncode}")


async def _keep_running(agent: DemoAgent, say: Callable[[str], None]) -> None:
    """Start the agent, again when it dies, until cancelled."""
    while True:
        process = await _spawn(agent)
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise
        say(f"The demo agent ended with status {status}; see {agent.folder / 'agent.log'}. It is started again.")
        await asyncio.sleep(2)


async def _spawn(agent: DemoAgent) -> asyncio.subprocess.Process:
    with (agent.folder / "agent.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *_ends_with_us(agent),
            *agent.command("run"),
            env=agent.environment,
            # Without a disposable root the person at this terminal is asked; else nobody needs to be.
            stdin=None if agent.root.kind == "none" else asyncio.subprocess.DEVNULL,
            stdout=None if agent.root.kind == "none" else log,
            stderr=log,
            start_new_session=agent.root.kind != "none",
        )


def _ends_with_us(agent: DemoAgent) -> list[str]:
    """A disposable root sees to it by itself."""
    if agent.root.kind != "none":
        return []
    return [sys.executable, "-m", "compagnon.app.with_parent", str(os.getpid())]


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()

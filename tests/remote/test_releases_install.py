"""The one line that installs the agent, for real: from this server alone, as an account of its own; and away again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_parts import until

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind

NOBODY = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
PYTHON = Path(sys.base_prefix) / "bin"


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="account-"))
    if NOBODY:
        os.chown(folder, NOBODY["user"], NOBODY["group"])
    yield folder
    shutil.rmtree(folder)


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


async def run(home: Path, script: str) -> tuple[int, str]:
    environment = {
        "PATH": f"{PYTHON}:/usr/bin:/bin",
        "HOME": str(home),
        "PIP_NO_INDEX": "1",  # this server and no other
        "COMPAGNON_AGENT_BACKOFF_BASE": "0.1",
    }
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", script, env=environment, cwd=str(home), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, **NOBODY,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 300)
    return process.returncode or 0, said.decode()


async def offered(server, cast):
    client = await server.services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Menuiserie", actor=Actor.member(cast.alice.id), phones=(), sites=()
    )
    return await server.services.remote.machines.offer(cast.alice, client.id)


@pytest.mark.timeout(600)
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
async def test_one_line_installs_and_one_takes_all_away(server, cast, home):
    before = everything(home)
    offer = await offered(server, cast)
    line = f"curl -fsSL {server.url}/agent/install.sh | sh -s --"
    status, said = await run(home, f"{line} 0000-0000")
    assert status != 0
    assert "wrong" in said, said
    status, said = await run(home, f"{line} {offer.code}")
    assert status == 0, said
    assert "Enrolled as machine" in said
    command = home / ".local/bin/compagnon-agent"
    assert command.is_symlink()
    assert (home / ".config/autostart/compagnon-agent-helper.desktop").exists()
    unit = (home / ".config/systemd/user/compagnon-agent.service").read_text()
    assert f"{home}/.local/share/compagnon-agent/launcher.py run" in unit

    machines = server.services.remote.machines
    machine = (await server.services.remote.machines.listed(_all()))[0]
    await machines.approve(cast.ada, machine.id, name="Poste", site_id=None, environment=None)
    agent = asyncio.create_task(run(home, f"exec {command} run"))

    async def online() -> bool:
        return (await machines.get(machine.id)).online

    await until(online, seconds=120)
    status, said = await run(home, f"{command} status && {command} self-test")
    assert status == 0, said
    assert "works here" in said
    status, said = await run(home, f"{command} uninstall --yes")
    assert "already running" in said  # there is no service manager here that could have stopped it
    assert command.exists()

    await end_agents(home)
    await asyncio.wait_for(agent, 60)
    status, said = await run(home, f"{command} uninstall --yes")
    assert status == 0, said
    left = everything(home) - before
    assert {path for path in left if not (home / path).is_dir()} == set(), said
    assert not [path for path in left if "compagnon" in path]


def _all():
    from remote.machines.model import MachineFilter

    return MachineFilter()


async def end_agents(home: Path) -> None:
    """Those that this test started: the processes whose command line names its folder."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            named = str(home).encode() in process.read_bytes()
        except OSError:
            continue
        if named:
            os.kill(int(process.parent.name), signal.SIGTERM)

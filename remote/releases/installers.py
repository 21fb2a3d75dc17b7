"""The scripts that install the agent on a client's machine, with this server's address in them."""

from __future__ import annotations

import shlex
from functools import cache
from importlib.resources import files

from remote.releases.wheels import agent_wheel

SERVER = "@SERVER@"
WHEEL_SHA256 = "@SHA256@"


@cache
def shell_script(server: str) -> str:
    """For Linux and macOS: ``curl -fsSL …/agent/install.sh | sh -s -- CODE``."""
    return _filled("install.sh", shlex.quote(server))


@cache
def powershell_script(server: str) -> str:
    """For Windows; single-quoted, where only a quote means something (about_Quoting_Rules)."""
    return _filled("install.ps1", "'" + server.replace("'", "''") + "'")


def _filled(name: str, server: str) -> str:
    text = files("remote.releases").joinpath("scripts", name).read_text("utf-8")
    return text.replace(SERVER, server).replace(WHEEL_SHA256, agent_wheel().sha256)


def shell_command(server: str, code: str) -> str:
    """What a person pastes into a terminal."""
    return f"curl -fsSL {shlex.quote(f'{server}/agent/install.sh')} | sh -s -- {code}"


def powershell_command(server: str, code: str) -> str:
    address = f"{server}/agent/install.ps1".replace("'", "''")
    return f"& ([scriptblock]::Create((Invoke-RestMethod '{address}'))) {code}"

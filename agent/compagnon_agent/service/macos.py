"""launchd (launchd.plist(5)). Written from its manual, its files are read back in tests; it was not run."""

from __future__ import annotations

import os
import plistlib
from collections.abc import Sequence
from pathlib import Path

from .plan import Argv, Place, Plan

LABEL = "org.compagnon.agent"
HELPER_LABEL = "org.compagnon.agent.helper"


def plan(place: Place, root: Path = Path("/")) -> Plan:
    """A daemon of the machine with an agent for each desktop; or one agent of the account, which has a screen."""
    if place.system:
        daemon = root / f"Library/LaunchDaemons/{LABEL}.plist"
        helper = root / f"Library/LaunchAgents/{HELPER_LABEL}.plist"
        files: tuple[tuple[Path, bytes], ...] = (
            (daemon, core(place, LABEL)),
            (helper, property_list(HELPER_LABEL, place.command("helper"), aqua=True)),
        )
        return _plan(files, domain="system", label=LABEL)
    agent = place.home / f"Library/LaunchAgents/{LABEL}.plist"
    return _plan(((agent, core(place, LABEL, aqua=True)),), domain=f"gui/{_account()}", label=LABEL)


def _plan(files: tuple[tuple[Path, bytes], ...], *, domain: str, label: str) -> Plan:
    stop: Argv = ("launchctl", "bootout", f"{domain}/{label}")
    start: Argv = ("launchctl", "bootstrap", domain, str(files[0][0]))
    return Plan(name=label, files=files, start=(start,), stop=(stop,))


def _account() -> int:
    return getattr(os, "geteuid", lambda: 0)()


def core(place: Place, label: str, *, aqua: bool = False) -> bytes:
    return property_list(label, place.command("run", "--state-dir", str(place.state)), aqua=aqua)


def property_list(label: str, command: Sequence[str], *, aqua: bool) -> bytes:
    """Started again whenever it ends; ``aqua``: only in a person's graphical session."""
    content: dict[str, object] = {
        "Label": label,
        "ProgramArguments": list(command),
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": 10,
        "ProcessType": "Interactive" if aqua else "Background",
    }
    if aqua:
        content["LimitLoadToSessionType"] = "Aqua"
    return plistlib.dumps(content)

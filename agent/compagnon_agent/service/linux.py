"""systemd, and the desktop's autostart for the helper. Each line is explained in ``docs/reference/agent.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .plan import Place, Plan

UNIT_NAME = "compagnon-agent.service"
AUTOSTART_NAME = "compagnon-agent-helper.desktop"
SYSTEMD = Path("/run/systemd/system")

_UNIT = """\
[Unit]
Description=Compagnon agent
{after}StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
ExecStart={command}
Restart=always
RestartSec=5
RestartPreventExitStatus=3
WatchdogSec=120
TimeoutStopSec=20
KillMode=mixed
OOMPolicy=continue
TasksMax=4096
UMask=0022
LimitCORE=0
KeyringMode=private
LockPersonality=yes
RestrictRealtime=yes
{more}
[Install]
WantedBy={target}
"""
_NETWORK = "After=network-online.target\nWants=network-online.target\n"
_RUNTIME = "RuntimeDirectory=compagnon-agent\nRuntimeDirectoryMode=0755\n"

_AUTOSTART = """\
[Desktop Entry]
Type=Application
Name=Compagnon
Comment=Shows what a technician asks, and who works on this computer
Comment[fr]=Montre ce qu'un technicien demande, et qui travaille sur cet ordinateur
Exec={command}
Terminal=false
NoDisplay=true
"""


def plan(place: Place, root: Path = Path("/")) -> Plan:
    units = root / "etc/systemd/system" if place.system else place.home / ".config/systemd/user"
    autostart = root / "etc/xdg/autostart" if place.system else place.home / ".config/autostart"
    systemctl = ("systemctl",) if place.system else ("systemctl", "--user")
    return Plan(
        name=UNIT_NAME,
        files=((units / UNIT_NAME, unit(place).encode()), (autostart / AUTOSTART_NAME, desktop_entry(place).encode())),
        start=((*systemctl, "daemon-reload"), (*systemctl, "enable", UNIT_NAME), (*systemctl, "restart", UNIT_NAME)),
        stop=((*systemctl, "disable", "--now", UNIT_NAME),),
        after_removal=((*systemctl, "daemon-reload"), (*systemctl, "reset-failed", UNIT_NAME)),
        manager=SYSTEMD if place.system else (place.runtime or Path("/nonexistent")) / "systemd",
    )


def unit(place: Place) -> str:
    return _UNIT.format(
        command=_joined(place.command("run", "--state-dir", str(place.state))),
        after=_NETWORK if place.system else "",
        more=_RUNTIME if place.system else "",
        target="multi-user.target" if place.system else "default.target",
    )


def _joined(command: Sequence[str]) -> str:
    return " ".join(_quoted(part) for part in command)


def _quoted(text: str) -> str:
    """One word of a command line (systemd.service(5)): ``%`` and ``$`` mean something, quotes keep spaces."""
    escaped = text.replace("%", "%%").replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if any(character in escaped for character in " \"\\';") else escaped


def desktop_entry(place: Place) -> str:
    return _AUTOSTART.format(command=" ".join(_desktop_quoted(part) for part in place.command("helper")))


def _desktop_quoted(text: str) -> str:
    """One argument of ``Exec`` (Desktop Entry Specification, "The Exec key"): quoted, then escaped as a string."""
    inner = "".join(f"\\{character}" if character in '"`$\\' else character for character in text)
    return f'"{inner}"'.replace("\\", "\\\\").replace("%", "%%")

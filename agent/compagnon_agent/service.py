"""``install-service``: the agent as a systemd service. Windows and launchd: not yet, and it says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

UNITS = Path("/etc/systemd/system")
SYSTEMD = Path("/run/systemd/system")
UNIT_NAME = "compagnon-agent.service"

# Steps and sessions maintain the whole machine, so files stay writable; the rest is closed. Children (a shell in a
# session) inherit all of it, hence no NoNewPrivileges: sudo must work there.
_UNIT = """\
[Unit]
Description=Compagnon agent
After=network-online.target
Wants=network-online.target

[Service]
ExecStart={command}
Environment=COMPAGNON_AGENT_DIR={folder}
Restart=always
RestartSec=5
KillMode=mixed
UMask=0077
StateDirectory=compagnon-agent
StateDirectoryMode=0700
LockPersonality=yes
MemoryDenyWriteExecute=no
ProtectClock=no
ProtectKernelLogs=yes
RestrictRealtime=yes
RestrictSUIDSGID=no
SystemCallArchitectures=native
TasksMax=4096

[Install]
WantedBy=multi-user.target
"""


class ServiceError(Exception):
    """It cannot be installed here; the text says why."""


def unit(folder: Path) -> str:
    """The unit's text. ``%`` means something to systemd, and quotes keep a path with spaces whole."""
    command = " ".join(_quote(part) for part in (sys.executable, "-m", "compagnon_agent.cli", "run"))
    return _UNIT.format(command=command, folder=_quote(str(folder)))


def _quote(text: str) -> str:
    escaped = text.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if any(character in escaped for character in ' "\\') else escaped


def install(folder: Path, units: Path = UNITS) -> str:
    """Write the unit and start it where systemd runs. Returns what was done, in one sentence."""
    if sys.platform == "win32":
        raise ServiceError("Installing as a Windows service is not there yet: start 'compagnon-agent run' at logon.")
    if sys.platform == "darwin":
        raise ServiceError("Installing with launchd is not available yet: start 'compagnon-agent run' at login.")
    path = units / UNIT_NAME
    try:
        path.write_text(unit(folder))
    except OSError as fault:
        raise ServiceError(f"{path} cannot be written ({fault.strerror}): run this as root.") from None
    if not SYSTEMD.is_dir():
        return f"Wrote {path}. systemd does not run here: 'systemctl enable --now {UNIT_NAME}' will start it."
    for arguments in (["daemon-reload"], ["enable", "--now", UNIT_NAME]):
        done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
        if done.returncode != 0:
            raise ServiceError(f"systemctl {arguments[0]}: {done.stderr.strip()[:300]}")
    return f"Installed and started {UNIT_NAME}."


def remove(units: Path = UNITS) -> bool:
    """Stop and remove the service; whether there was one."""
    path = units / UNIT_NAME
    if not path.exists():
        return False
    if SYSTEMD.is_dir():
        subprocess.run(["systemctl", "disable", "--now", UNIT_NAME], capture_output=True, check=False)  # noqa: S603, S607
    try:
        path.unlink()
    except OSError as fault:
        raise ServiceError(f"{path} cannot be removed ({fault.strerror}): run this as root.") from None
    return True

"""What has to be written and run so that the system starts the agent, as data; and doing it, and undoing it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..slots import Slots

COMMAND_SECONDS = 60.0
Argv = tuple[str, ...]


class ServiceError(Exception):
    """It cannot be installed here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``start`` runs after ``files`` were written, ``stop`` before they are removed (its failures do not matter).

    ``manager``: a path that exists where the service manager runs; without it the files wait for the next start.
    """

    name: str
    files: tuple[tuple[Path, bytes], ...]
    start: tuple[Argv, ...]
    stop: tuple[Argv, ...]
    after_removal: tuple[Argv, ...] = ()
    manager: Path | None = None

    @property
    def managed(self) -> bool:
        return self.manager is None or self.manager.exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """For whom: ``system`` is the whole machine (root, administrator), otherwise the account whose ``home`` this is."""

    system: bool
    home: Path
    state: Path
    program: Argv
    runtime: Path | None = None

    def command(self, *arguments: str) -> Argv:
        return (*self.program, *arguments)


def program(slots: Slots | None) -> Argv:
    """How to start the agent: through its launcher where it was installed with one."""
    if slots:
        return (sys.executable, "-I", str(slots.launcher))
    return (sys.executable, "-m", "compagnon_agent.cli")


def carry_out(plan: Plan) -> str:
    """Write and start. Returns what was done, in one sentence. Raises :class:`ServiceError`."""
    for path, content in plan.files:
        _write(path, content)
    written = ", ".join(str(path) for path, _ in plan.files)
    if not plan.managed:
        return f"Wrote {written}. Its service manager does not run here: it starts with the machine."
    for command in plan.start:
        done = _run(command)
        if done.returncode != 0:
            raise ServiceError(f"{' '.join(command[:3])}: {(done.stderr or done.stdout).strip()[:300]}")
    return f"Installed and started {plan.name}. Wrote {written}." if written else f"Installed and started {plan.name}."


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
    except OSError as fault:
        raise ServiceError(f"{path} cannot be written ({fault.strerror}): run this as administrator.") from None


def undo(plan: Plan) -> list[Path]:
    """Stop, and remove what was written. Returns the files that were there. Raises :class:`ServiceError`."""
    there = [path for path, _ in plan.files if path.exists()]
    if plan.managed and (there or not plan.files):
        _run_all(plan.stop)
    for path in there:
        try:
            path.unlink()
        except OSError as fault:
            raise ServiceError(f"{path} cannot be removed ({fault.strerror}): run this as administrator.") from None
    if plan.managed and there:
        _run_all(plan.after_removal)
    return there


def _run_all(commands: Sequence[Argv]) -> None:
    for command in commands:
        _run(command)


def _run(command: Argv) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - the service manager's own tools
            list(command), capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS, env=dict(os.environ)
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        return subprocess.CompletedProcess(list(command), 1, "", str(fault))

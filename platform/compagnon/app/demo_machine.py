"""The demo's machine: a disposable root on the computer of whoever tries Compagnon.

``make run`` enrols a real agent whose procedures really stop services, delete files and install packages. They do so
in a root of the agent's own (see ``demo_root``), prepared here. Where neither root's nor an ordinary user's namespaces
are allowed (some containers and hardened systems) there is no such root: the agent then runs attended on the real
machine, where nothing changes without a yes at its own screen.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import compagnon
import compagnon_agent

Kind = Literal["overlay", "userns", "none"]

PROBE_SECONDS = 30.0
LARGEST_COPY = 2 * 1024 * 1024  # bytes of one file under /etc: certificates bundles fit, databases do not
COMPLETE = "complete"
SKELETON = (
    "var/backups",
    "var/cache/apt/archives/partial",
    "var/lib/apt/lists/partial",
    "var/lib/misc",
    "var/log/apt",
    "var/mail",
    "var/spool",
    "var/tmp",
    "srv",
    "home",
    "opt",
    "root",
    "media",
    "mnt",
)
NOTES: dict[Kind, str] = {
    "overlay": "The demo agent works in a disposable copy of this machine; the machine itself does not change.",
    "userns": "The demo agent works in a disposable copy of this machine, without root's rights (/usr is read-only).",
    "none": "No disposable root is possible here ({reason}): the demo agent asks at its screen before every change.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRoot:
    """How to start the demo's agent: ``[*argv_prefix, sys.executable, "-m", "compagnon_agent.cli", …]``.

    ``kind`` "none" has an empty prefix. ``note`` is a sentence for whoever started the demo.
    """

    kind: Kind
    argv_prefix: list[str]
    note: str


def prepare(folder: Path, *, share: Sequence[Path] = (), hide: Sequence[Path] = ()) -> DemoRoot:
    """Make ``folder`` hold a disposable root, and try it.

    The root keeps its state from one start to the next, like a real machine; delete ``folder`` for a new one. Its
    parent (the server's data directory) is never visible inside, nor anything of ``hide``; the folders of ``share``
    (made when missing) are the same inside and outside, and writable: the agent's own state belongs there.
    """
    if sys.platform != "linux":
        return _none("it needs Linux")
    reason = ""
    for kind in _kinds():
        prefix = _prefix(folder.resolve(), kind, share, hide)
        try:
            _fill(folder.resolve(), share)
            reason = _try(prefix)
        except OSError as error:
            reason = str(error)
        if not reason:
            return DemoRoot(kind=kind, argv_prefix=prefix, note=NOTES[kind])
    return _none(reason)


def _kinds() -> tuple[Kind, ...]:
    return ("overlay", "userns") if os.geteuid() == 0 else ("userns",)


def _none(reason: str) -> DemoRoot:
    return DemoRoot(kind="none", argv_prefix=[], note=NOTES["none"].format(reason=reason))


def _prefix(folder: Path, kind: Kind, share: Sequence[Path], hide: Sequence[Path]) -> list[str]:
    options = ["--folder", str(folder), "--kind", kind]
    for name, paths in (("--keep", sorted(set(_program()))), ("--hide", [folder.parent, *hide]), ("--share", share)):
        for path in paths:
            options += [name, str(path.resolve())]
    return [sys.executable, "-m", "compagnon.app.demo_root", *options, "--"]


def _program() -> Iterator[Path]:
    """What the agent and the launcher themselves need: the interpreter, its packages, their code."""
    yield Path(sys.base_prefix)
    yield Path(sys.prefix)
    for package in (compagnon_agent, compagnon):
        home = Path(package.__path__[0]).resolve().parent
        if not home.is_relative_to(sys.prefix):
            yield home


def _try(prefix: Sequence[str]) -> str:
    """Start the root with nothing in it. Returns why it did not work, or nothing."""
    try:
        done = subprocess.run(  # noqa: S603 - our own launcher
            [*prefix, "/bin/true"], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it did not start within {PROBE_SECONDS:.0f} s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]


# -- the root's own files ----------------------------------------------------------------------------------------------


def _fill(folder: Path, share: Sequence[Path]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for shared in share:
        shared.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / COMPLETE).exists():
        return
    if (folder / "root").exists():
        shutil.rmtree(folder / "root")
    for name in ("usr-upper", "usr-work"):
        (folder / name).mkdir(exist_ok=True)
    _copy_public(Path("/etc"), folder / "root/etc")
    _copy_public(Path("/var/lib/dpkg"), folder / "root/var/lib/dpkg", largest=None)
    for name in SKELETON:
        (folder / "root" / name).mkdir(parents=True, exist_ok=True)
    (folder / "root/var/tmp").chmod(0o1777)
    (folder / "root/var/run").symlink_to("/run")
    (folder / "root/var/lock").symlink_to("/run/lock")
    (folder / COMPLETE).touch()


def _copy_public(source: Path, target: Path, *, largest: int | None = LARGEST_COPY) -> None:
    """Copy what everyone may read: passwords, private keys and connection secrets stay where they are."""
    target.mkdir(parents=True, exist_ok=True)
    if not source.is_dir():
        return
    for entry in os.scandir(source):
        destination = target / entry.name
        mode = entry.stat(follow_symlinks=False).st_mode
        if entry.is_symlink():
            destination.symlink_to(Path(entry.path).readlink())
        elif not mode & stat.S_IROTH:
            continue
        elif entry.is_dir(follow_symlinks=False):
            _copy_public(Path(entry.path), destination, largest=largest)
        elif stat.S_ISREG(mode) and (largest is None or entry.stat().st_size <= largest):
            shutil.copy2(entry.path, destination)

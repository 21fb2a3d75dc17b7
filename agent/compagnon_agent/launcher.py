"""The launcher: starts the version of the agent that is in force, tries a new one, and goes back by itself.

``python -I launcher.py [--slot a|b] COMMAND…``. It is copied beside the slots when the agent is installed and never
changed by a release, so it stays small and needs the standard library only. Two versions have room, in ``slots/a`` and
``slots/b``; ``slots.json`` says which is in force (``current``) and which is on trial.

A version on trial runs under the launcher's eyes. It has proved itself when it stayed connected to its server for a
while and says so in ``slots.json``. If it ends before, or the time is up, that start has failed; after ``STARTS``
failed starts the version in force runs again, and tells the server why.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STATE_FILE = "slots.json"
SLOTS = ("a", "b")
STARTS = 3
TRIAL_SECONDS = 300.0
RESTART = 75
"""Status of an agent that asks to be started again (EX_TEMPFAIL of sysexits.h)."""

REVOKED = 3
KILLED_AFTER = 10.0


def read_state(home: Path) -> dict[str, Any]:
    """What ``slots.json`` says; slot a and no trial where it cannot be read."""
    try:
        state = json.loads((home / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        state = {}
    if not isinstance(state, dict) or state.get("current") not in SLOTS:
        return {"current": "a", "counter": 0, "trial": None, "last": None}
    return {"counter": 0, "trial": None, "last": None, **state}


def write_state(home: Path, state: dict[str, Any]) -> None:
    """At once and for good: never half a file. Raises ``OSError``."""
    temporary = home / f".{STATE_FILE}.new"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(state, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(home / STATE_FILE)


def main(arguments: list[str]) -> int:
    home = Path(__file__).resolve().parent
    if arguments[:1] == ["--slot"]:
        return inside(home, arguments[1], arguments[2:])
    if arguments[:1] != ["run"]:
        return inside(home, read_state(home)["current"], arguments)
    return keep_running(home, arguments)


def inside(home: Path, slot: str, arguments: list[str]) -> int:
    """The version in ``slot``, in this very process."""
    if slot not in SLOTS:
        raise SystemExit("compagnon-agent: there are the slots a and b")
    code = str(home / "slots" / slot)
    os.environ.update(COMPAGNON_AGENT_HOME=str(home), COMPAGNON_AGENT_SLOT=slot, PYTHONPATH=code, PYTHONSAFEPATH="1")
    sys.path.insert(0, code)
    from compagnon_agent.cli import main as agent

    agent(arguments)
    return 0


def keep_running(home: Path, arguments: list[str]) -> int:
    while True:
        state = read_state(home)
        if state["trial"] is None:
            if sys.platform != "win32":
                return inside(home, state["current"], arguments)
            status = start(home, state["current"], arguments).wait()
            if status != RESTART:
                return status
            continue
        try:
            status, told = try_out(home, state, arguments)
        except OSError as fault:  # a full disk: what cannot be counted is not tried
            print(f"compagnon-agent: {fault}", file=sys.stderr, flush=True)
            return inside(home, state["current"], arguments)
        if told or status == REVOKED:
            return status


def try_out(home: Path, state: dict[str, Any], arguments: list[str]) -> tuple[int, bool]:
    """One start of the version on trial, or the way back: its status, and whether it ended because it was told to."""
    trial = state["trial"]
    if trial.get("starts", 0) >= STARTS or trial.get("slot") not in SLOTS:
        go_back(home, state, trial.get("reason") or "it did not prove itself")
        return 0, False
    write_state(home, {**state, "trial": {**trial, "starts": trial.get("starts", 0) + 1}})
    status, told = watch(home, trial["slot"], arguments)
    after = read_state(home)
    if after["trial"] is not None and after["trial"].get("slot") == trial["slot"]:
        starts = after["trial"]["starts"] - (1 if told else 0)
        reason = "it was not connected in time" if status is None else f"it ended with status {status}"
        write_state(home, {**after, "trial": {**after["trial"], "starts": starts, "reason": reason}})
        time.sleep(0 if told else 1)
    elif status != RESTART and not told:
        return status or 0, True  # it proved itself, and ended later: whoever started us decides what follows
    return status or 0, told


def go_back(home: Path, state: dict[str, Any], reason: str) -> None:
    trial = state["trial"]
    last = {"counter": trial.get("counter"), "state": "rolled_back", "reason": reason}
    write_state(home, {**state, "trial": None, "last": last})
    print(f"compagnon-agent: version {trial.get('version')} is given up: {reason}", file=sys.stderr, flush=True)


def start(home: Path, slot: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "WATCHDOG_PID"}
    environment["COMPAGNON_AGENT_SUPERVISED"] = "1"
    command = [sys.executable, "-I", str(home / "launcher.py"), "--slot", slot, *arguments]
    return subprocess.Popen(command, env=environment)  # noqa: S603 - our own interpreter and file


def watch(home: Path, slot: str, arguments: list[str]) -> tuple[int | None, bool]:
    """Its status, None when the time was up before it proved itself; and whether we were told to end it."""
    told: list[int] = []
    before = {number: signal.signal(number, lambda *_: told.append(1)) for number in (signal.SIGTERM, signal.SIGINT)}
    limit = time.monotonic() + float(os.environ.get("COMPAGNON_AGENT_TRIAL_SECONDS") or TRIAL_SECONDS)
    child = start(home, slot, arguments)
    try:
        while child.poll() is None:
            proved = read_state(home)["trial"] is None
            if told or (not proved and time.monotonic() > limit):
                end(child)
                return (max(0, child.returncode) if told else None), bool(told)  # below 0: ended by our signal
            time.sleep(2.0 if proved else 0.2)
        return child.returncode, bool(told)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(KILLED_AFTER)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

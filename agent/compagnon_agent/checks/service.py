"""``service``: systemd where it runs, otherwise System V scripts. Windows and macOS: tried on captured text only."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .common import Observed, Question, run

SYSTEMD = Path("/run/systemd/system")
SCRIPTS = Path("/etc/init.d")
ENABLED = frozenset({"enabled", "enabled-runtime", "alias", "static", "indirect", "generated"})
RUNLEVELS = ("rc2.d", "rc3.d", "rc4.d", "rc5.d")


def observe(question: Question) -> Observed:
    if sys.platform == "win32":
        state = run(["sc.exe", "query", question.key]).stdout
        config = run(["sc.exe", "qc", question.key]).stdout
        return {"running": parse_sc_query(state), "enabled": parse_sc_config(config)}
    if sys.platform == "darwin":
        return parse_launchctl(run(["launchctl", "list"]).stdout, question.key)
    if SYSTEMD.is_dir():
        return _systemd(question)
    return _scripts(question)


def _systemd(question: Question) -> Observed:
    keys = question.batch.keys("service", question.key)
    units = question.batch.once("systemd", lambda: shown(keys))
    unit = units.get(question.key) or shown((question.key,)).get(question.key, {})
    observed: Observed = {}
    if "running" in question.wanted:
        observed["running"] = unit.get("ActiveState") == "active"
    if "enabled" in question.wanted:
        state = unit.get("UnitFileState")
        if state == "generated":  # from a System V script: systemctl asks that script's own tool
            state = run(["systemctl", "is-enabled", "--", question.key]).stdout.strip()
        observed["enabled"] = state in ENABLED
    return observed


def shown(keys: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """The units' properties by the names they were asked for; nothing where the answer does not fit the question."""
    done = run(["systemctl", "show", "--property=ActiveState,UnitFileState", "--", *keys])
    blocks = [parse_show(block) for block in done.stdout.strip("\n").split("\n\n")]
    return dict(zip(keys, blocks, strict=True)) if len(blocks) == len(keys) else {}


def parse_show(block: str) -> dict[str, str]:
    """``Name=value`` lines."""
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _scripts(question: Question) -> Observed:
    """LSB: ``status`` exits with 0 when the service runs (Linux Standard Base, Init Script Actions)."""
    name = question.key.removesuffix(".service")
    script = SCRIPTS / name
    running = "running" in question.wanted and script.is_file() and run([str(script), "status"]).returncode == 0
    starts = [link for level in RUNLEVELS for link in (SCRIPTS.parent / level).glob(f"S[0-9][0-9]{name}")]
    return {"running": running, "enabled": bool(starts)}


def parse_sc_query(output: str) -> bool:
    """``sc query``: ``STATE : 4 RUNNING`` (the number is the same in every language)."""
    match = re.search(r"^\s*\S+\s*:\s*(\d+)\s+\w+[ \t]*$", _after(output, "TYPE"), re.MULTILINE)
    return match is not None and match.group(1) == "4"


def parse_sc_config(output: str) -> bool:
    """``sc qc``: ``START_TYPE : 2 AUTO_START``."""
    match = re.search(r"START_TYPE\s*:\s*(\d+)", output)
    return match is not None and match.group(1) in {"0", "1", "2"}


def _after(output: str, label: str) -> str:
    lines = output.splitlines()
    start = next((number for number, line in enumerate(lines) if line.strip().startswith(label)), -1)
    return "\n".join(lines[start + 1 :])


def parse_launchctl(output: str, label: str) -> Observed:
    """``launchctl list``: pid (or ``-``), last status, label. What is listed is loaded: it starts by itself."""
    for line in output.splitlines():
        cells = line.split("\t")
        if len(cells) == 3 and cells[2] == label:
            return {"running": cells[0].isdigit(), "enabled": True}
    return {"running": False, "enabled": False}

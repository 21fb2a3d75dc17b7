"""``package``: from dpkg or rpm on Linux. On Windows from ``winget list`` (tried on captured text only)."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence

from ..protocol.wire import JSON
from .common import Observed, Question, Unsupported, run

PLAIN = re.compile(r"[a-z0-9][a-z0-9+.-]*")
"""A package's name (Debian Policy §5.6.1)."""


def observe(question: Question) -> Observed:
    if shutil.which("dpkg-query"):
        if not PLAIN.fullmatch(question.key):  # an architecture or a pattern: by itself
            return parse_dpkg(_dpkg("${db:Status-Want} ${db:Status-Status} ${Version}\\n", [question.key]))
        known = question.batch.once("dpkg", lambda: by_package(question))
        return parse_dpkg("\n".join(known.get(question.key, ())))
    if shutil.which("rpm"):
        done = run(["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}\\n", "--", question.key])
        return parse_rpm(done.stdout if done.returncode == 0 else "")
    if sys.platform == "win32":
        done = run(["winget", "list", "--exact", "--id", question.key, "--disable-interactivity"], timeout=60)
        return parse_winget(done.stdout, question.key)
    raise Unsupported("no package database that the agent knows (dpkg, rpm, winget)")


def _dpkg(shown: str, keys: Sequence[str]) -> str:
    return run(["dpkg-query", "-W", "-f", shown, "--", *keys]).stdout


def by_package(question: Question) -> Mapping[str, Sequence[str]]:
    """What dpkg says of each of the packages that are asked about, in one go."""
    keys = [key for key in question.batch.keys("package", question.key) if PLAIN.fullmatch(key)]
    found: dict[str, list[str]] = {}
    for line in _dpkg("${Package} ${db:Status-Want} ${db:Status-Status} ${Version}\\n", keys).splitlines():
        name, _, rest = line.partition(" ")
        found.setdefault(name, []).append(rest)
    return found


def parse_dpkg(output: str) -> Observed:
    """Lines of "want status version", one for each architecture."""
    rows = [line.split(" ", 2) for line in output.splitlines() if line.count(" ") >= 2]
    installed = [row for row in rows if row[1] == "installed"]
    versions: list[JSON] = [row[2] for row in installed]
    return {
        "installed": bool(installed),
        "versions": versions,
        "held": any(row[0] == "hold" for row in installed),
    }


def parse_rpm(output: str) -> Observed:
    versions: list[JSON] = [line for line in output.splitlines() if line]
    return {"installed": bool(versions), "versions": versions, "held": False}


def parse_winget(output: str, identifier: str) -> Observed:
    """Columns are separated by two spaces or more; the version follows the identifier."""
    for line in output.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        match = re.search(rf"(?:^|\s){re.escape(identifier)}\s+(\S+)", line, re.IGNORECASE)
        if match and len(cells) > 1:
            return {"installed": True, "versions": [match.group(1)], "held": False}
    return {"installed": False, "versions": [], "held": False}

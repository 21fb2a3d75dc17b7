"""``package``: from dpkg or rpm on Linux. On Windows from ``winget list`` (tried on captured text only)."""

from __future__ import annotations

import re
import shutil
import sys

from ..protocol.wire import JSON
from .common import Observed, Question, Unsupported, run


def observe(question: Question) -> Observed:
    if shutil.which("dpkg-query"):
        done = run(
            ["dpkg-query", "-W", "-f", "${db:Status-Want} ${db:Status-Status} ${Version}\\n", "--", question.key]
        )
        return parse_dpkg(done.stdout)
    if shutil.which("rpm"):
        done = run(["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}\\n", "--", question.key])
        return parse_rpm(done.stdout if done.returncode == 0 else "")
    if sys.platform == "win32":
        done = run(["winget", "list", "--exact", "--id", question.key, "--disable-interactivity"], timeout=60)
        return parse_winget(done.stdout, question.key)
    raise Unsupported("no package database that the agent knows (dpkg, rpm, winget)")


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

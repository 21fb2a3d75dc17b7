"""No code of this project talks to a host whose key nobody confirmed."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TRUSTING = re.compile(r"AutoAddPolicy|WarningPolicy|load_system_host_keys|look_for_keys=True|allow_agent=True")


def test_unknown_host_keys_are_only_ever_rejected():
    sources = [path for folder in ("platform", "kb", "procedures", "remote", "tickets", "agent") for path in
               (ROOT / folder).rglob("*.py")]  # fmt: skip
    assert len(sources) > 300
    assert [path.name for path in sources if TRUSTING.search(path.read_text())] == []
    using = [path.name for path in sources if "paramiko.SSHClient()" in path.read_text()]
    assert using == ["connector.py"]
    assert "RejectPolicy" in (ROOT / "remote/ssh/connector.py").read_text()

"""What the agent can do is documented: commands, settings, resources, messages, frames."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compagnon_agent import cli
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.frames import FrameKind
from compagnon_agent.protocol.resources import RESOURCES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_commands(command):
    assert re.search(rf"^\| `{command}[ `]", (REFERENCE / "agent.md").read_text(), re.MULTILINE)


def test_settings():
    source = (ROOT / "agent" / "compagnon_agent" / "settings.py").read_text()
    names = {f"COMPAGNON_AGENT_{name}" for name in re.findall(r'_seconds\(environ, "(\w+)"\)', source)}
    names |= set(re.findall(r'"(COMPAGNON_AGENT_[A-Z]+)"', source))
    assert len(names) == 10
    text = (REFERENCE / "agent.md").read_text()
    assert not [name for name in names if f"`{name}`" not in text]


@pytest.mark.parametrize("resource", sorted(RESOURCES))
def test_resources_and_their_attributes(resource):
    section = (REFERENCE / "checks.md").read_text().split(f"## {resource}\n", 1)[1].split("\n## ", 1)[0]
    missing = [name for name in RESOURCES[resource].attributes if f"`{name}`" not in section]
    assert set(missing) <= {"title", "skip"}


def test_messages_and_frames():
    text = (REFERENCE / "protocol.md").read_text()
    assert not [name for name in messages.TYPES if f"`{name}`" not in text]
    assert not [kind.name for kind in FrameKind if kind.name not in text]

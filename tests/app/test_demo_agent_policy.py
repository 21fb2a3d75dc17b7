"""The demo's agent is unattended only where it works in a disposable root."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compagnon.app import demo_agent
from compagnon.app.demo_machine import DemoRoot


def services(folder: Path) -> Any:
    settings = SimpleNamespace(data_dir=folder, public_url="http://127.0.0.1:8000")
    return SimpleNamespace(kernel=SimpleNamespace(settings=settings))


def with_root(monkeypatch: pytest.MonkeyPatch, root: DemoRoot) -> None:
    monkeypatch.setattr(demo_agent, "prepare", lambda *_, **__: root)


def test_a_disposable_machine_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_root(monkeypatch, DemoRoot(kind="userns", argv_prefix=["x"], note=""))
    agent = demo_agent._prepare(services(tmp_path))
    assert "unattended-demo" in (agent.folder / "policy.toml").read_text()


def test_a_policy_of_yesterday_does_not_reach_the_real_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_root(monkeypatch, DemoRoot(kind="userns", argv_prefix=["x"], note=""))
    demo_agent._prepare(services(tmp_path))
    with_root(monkeypatch, DemoRoot(kind="none", argv_prefix=[], note="not here"))
    agent = demo_agent._prepare(services(tmp_path))
    assert not (agent.folder / "policy.toml").exists()

"""The documentation is complete, as the code is now, and its links lead somewhere."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterator
from dataclasses import make_dataclass
from pathlib import Path
from types import ModuleType

import pytest
from litestar import Litestar, get

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def check_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_docs", ROOT / "scripts" / "check_docs.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(check_docs: ModuleType) -> Iterator[dict[str, str]]:
    yield check_docs.generated()
    check_docs.UNDOCUMENTED.clear()


def test_every_setting_command_and_route_is_documented(check_docs: ModuleType, pages: dict[str, str]) -> None:
    assert pages
    assert check_docs.UNDOCUMENTED == []


def test_the_reference_pages_are_as_the_code_is(check_docs: ModuleType, pages: dict[str, str]) -> None:
    assert check_docs.stale(pages) == [], "run: python scripts/check_docs.py --write"


def test_the_reference_knows_what_there_is(pages: dict[str, str]) -> None:
    assert "| `COMPAGNON_PORT` | `8800` |" in pages["settings.md"]
    assert "## `compagnon audit verify`" in pages["commands.md"]
    assert "| GET | `/audit` | administrators |" in pages["routes.md"]
    assert "| WebSocket | `/agent/control` | agents |" in pages["routes.md"]
    assert "{rest:path}" not in pages["routes.md"]


def test_a_route_without_a_description_is_reported(
    check_docs: ModuleType, pages: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @get("/silent")
    async def silent() -> str:
        return ""

    monkeypatch.setattr(check_docs, "UNDOCUMENTED", [])
    assert list(check_docs._route_rows(Litestar([silent], openapi_config=None)))
    assert len(check_docs.UNDOCUMENTED) == 1
    assert "GET /silent" in check_docs.UNDOCUMENTED[0]


def test_a_setting_and_a_command_without_a_description_are_reported(
    check_docs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = argparse.ArgumentParser(prog="compagnon")
    top.add_subparsers().add_parser("silent")
    monkeypatch.setattr(check_docs, "UNDOCUMENTED", [])
    monkeypatch.setattr(check_docs, "Settings", make_dataclass("Settings", [("silent", str)]))
    monkeypatch.setattr(check_docs, "parser", lambda: top)
    check_docs.settings_page()
    check_docs.commands_page()
    assert check_docs.UNDOCUMENTED == ["setting silent", "command compagnon silent"]


def test_links_lead_somewhere(check_docs: ModuleType) -> None:
    assert list(check_docs.dead_links()) == []


@pytest.mark.parametrize(
    ("link", "good"),
    [
        ("there.md", True),
        ("there.md#two-words", True),
        ("#here-its-me", True),
        ("https://example.org/x", True),
        ("gone.md", False),
        ("there.md#gone", False),
        ("#gone", False),
    ],
)
def test_a_dead_link_is_seen(check_docs: ModuleType, tmp_path: Path, link: str, good: bool) -> None:
    (tmp_path / "there.md").write_text("# Two words\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Here: it's me\n\n[a]({link})\n")
    assert check_docs._leads_somewhere(page, link) is good

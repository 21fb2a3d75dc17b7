"""The reference pages that are made from the code: settings, commands, routes.

``check_docs.py`` says what is out of date or undocumented (exit 1); ``check_docs.py --write`` writes the pages.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

from litestar import Litestar
from litestar.routes import ASGIRoute, HTTPRoute, WebSocketRoute

from compagnon.app.cli import parser
from compagnon.settings import PREFIX, Settings

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"


def settings_page() -> str:
    lines = ["# Settings", "", (Settings.__module__ and _first_paragraphs("compagnon.settings")), ""]
    lines += ["| setting | default | what it is |", "|---|---|---|"]
    for item in fields(Settings):
        doc = item.metadata.get("doc") or _missing(f"setting {item.name}")
        default = item.metadata.get("shown") or item.default
        shown = "" if default in (None, "", MISSING) else f"`{default}`"
        lines.append(f"| `{PREFIX}{item.name.upper()}` | {shown} | {doc} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    lines = [
        "# Commands",
        "",
        "All commands read the [settings](settings.md). Exit status: 0 done, 1 refused, 2 usage.",
        "",
    ]
    for path, command in _commands("compagnon", parser()):
        lines += [f"## `{path}`", "", command.description or _missing(f"command {path}"), "", "```"]
        lines += [command.format_usage().removeprefix("usage: ").strip(), "```", ""]
    return "\n".join(lines)


def _commands(path: str, command: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    subs = [action for action in command._actions if isinstance(action, argparse._SubParsersAction)]
    if not subs:
        yield path, command
    for sub in subs:
        helps = {choice.dest: choice.help for choice in sub._choices_actions}
        for name, child in sub.choices.items():
            child.description = child.description or _sentence(helps.get(name) or "")
            yield from _commands(f"{path} {name}", child)


def routes_page() -> str:
    lines = ["# Routes", "", "Every address of the server. All but the public ones need a signed-in member.", ""]
    lines += ["| method | path | access | what it does |", "|---|---|---|---|"]
    lines += sorted(_route_rows(_app()), key=lambda row: row.split("|")[2])
    return "\n".join(lines) + "\n"


def _route_rows(app: Litestar) -> Iterator[str]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                    yield _row(str(method), route.path, handler)
        elif isinstance(route, WebSocketRoute):
            yield _row("WebSocket", route.path, route.route_handler)
        elif isinstance(route, ASGIRoute):
            yield _row("ASGI", route.path, route.route_handler)


def _row(method: str, path: str, handler: object) -> str:
    function = getattr(handler, "fn", handler)
    doc = (getattr(function, "__doc__", None) or "").strip().split("\n\n")[0].replace("\n", " ")
    opt = getattr(handler, "opt", {})
    what = " ".join(doc.split()) or _missing(f"route {method} {path} ({getattr(function, '__qualname__', function)})")
    access = "public" if opt.get("public") else "members"
    return f"| {method} | `{path}` | {access} | {what.replace('|', '/')} |"


def _app() -> Litestar:
    from compagnon.app.wiring import build_app, build_services

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load({}, secret_key="k" * 40, data_dir=Path(folder))
        return build_app(build_services(settings, "postgresql://localhost/nowhere"))


UNDOCUMENTED: list[str] = []


def _missing(what: str) -> str:
    UNDOCUMENTED.append(what)
    return ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _first_paragraphs(module: str) -> str:
    return (sys.modules[module].__doc__ or "").strip().split("\n\n", 1)[-1].replace("``", "`")


def main() -> int:
    pages = {"settings.md": settings_page(), "commands.md": commands_page(), "routes.md": routes_page()}
    for what in UNDOCUMENTED:
        print(f"undocumented: {what}")
    stale = [name for name, text in pages.items() if _kept(name) != text]
    if "--write" in sys.argv:
        for name in stale:
            (REFERENCE / name).write_text(pages[name])
    elif stale:
        print(f"out of date: {', '.join(stale)} (run scripts/check_docs.py --write)")
    return 1 if UNDOCUMENTED or (stale and "--write" not in sys.argv) else 0


def _kept(name: str) -> str:
    path = REFERENCE / name
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())

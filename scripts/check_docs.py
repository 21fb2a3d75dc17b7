"""The reference pages that are made from the code (settings, commands, routes), and the links between all pages.

``check_docs.py`` says what is undocumented, out of date or points nowhere (exit 1); ``--write`` writes the pages.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import MISSING, fields
from inspect import getclosurevars
from pathlib import Path

from litestar import Litestar
from litestar.handlers import BaseRouteHandler
from litestar.routes import ASGIRoute, HTTPRoute, WebSocketRoute

from compagnon.app.cli import parser
from compagnon.auth.model import Role
from compagnon.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
AGENTS = "/agent/"
EVERYTHING_ELSE = ("/{rest:path}",)  # only there so that the "not found" page knows who is asking
LINK = re.compile(r"\]\(([^()\s]+)\)")
FENCE = re.compile(r"^(```+).*?^\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
HEADING = re.compile(r"^#+ +(.+?)$", re.MULTILINE)


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
    lines = [
        "# Routes",
        "",
        "Every address of the server. `public`: no sign-in. `members`: whoever is signed in; what they may do with one",
        "thing, its service decides. `agents`: the programs on client machines, which prove themselves with their key.",
        "",
        "| method | path | access | what it does |",
        "|---|---|---|---|",
    ]
    return "\n".join([*lines, *sorted(_route_rows(_app()), key=_place)]) + "\n"


def _place(row: str) -> tuple[str, str]:
    """By path, and there by method: what is shown before what is done."""
    method, path = row.split("|")[1:3]
    return path, method


def _route_rows(app: Litestar) -> Iterator[str]:
    for route in app.routes:
        if route.path in EVERYTHING_ELSE:
            continue
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                methods = sorted(str(method) for method in handler.http_methods - {"OPTIONS", "HEAD"})
                if methods:
                    yield _row(", ".join(methods), route.path, handler)
        elif isinstance(route, WebSocketRoute):
            yield _row("WebSocket", route.path, route.route_handler)
        elif isinstance(route, ASGIRoute):
            yield _row("WebSocket" if route.path.startswith(AGENTS) else "ASGI", route.path, route.route_handler)


def _row(method: str, path: str, handler: BaseRouteHandler) -> str:
    function = handler.fn
    doc = " ".join((function.__doc__ or "").strip().split("\n\n")[0].split())
    what = doc or _missing(f"route {method} {path} ({function.__qualname__})")
    return f"| {method} | `{path}` | {_access(path, handler)} | {what.replace('|', '/').replace('``', '`')} |"


def _access(path: str, handler: BaseRouteHandler) -> str:
    if handler.opt.get("public"):
        return "agents" if path.startswith(AGENTS) else "public"
    roles = [getclosurevars(getattr(guard, "func", guard)).nonlocals.get("role") for guard in handler.resolve_guards()]
    return next((f"{role.value}s" for role in roles if isinstance(role, Role)), "members")


def _app() -> Litestar:
    from compagnon.app.wiring import build_app, build_services

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load({}, secret_key="k" * 40, data_dir=Path(folder))
        return build_app(build_services(settings, "postgresql://localhost/nowhere"))


def dead_links() -> Iterator[str]:
    """Relative links of the README, the change log and the docs that lead to no file or heading."""
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in LINK.findall(FENCE.sub("", page.read_text())):
            if not _leads_somewhere(page, target):
                yield f"{page.relative_to(ROOT)}: {target}"


def _leads_somewhere(page: Path, target: str) -> bool:
    if SCHEME.match(target):
        return True
    name, _, heading = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.exists():
        return False
    return not heading or heading in {_anchor(title) for title in HEADING.findall(file.read_text())}


def _anchor(title: str) -> str:
    """As GitHub and GitLab make it: lower case, words joined with hyphens, no other signs."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


UNDOCUMENTED: list[str] = []


def _missing(what: str) -> str:
    UNDOCUMENTED.append(what)
    return ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _first_paragraphs(module: str) -> str:
    return (sys.modules[module].__doc__ or "").strip().split("\n\n", 1)[-1].replace("``", "`")


def generated() -> dict[str, str]:
    """The pages as the code is now, by file name in ``docs/reference``."""
    UNDOCUMENTED.clear()
    return {"settings.md": settings_page(), "commands.md": commands_page(), "routes.md": routes_page()}


def stale(pages: dict[str, str]) -> list[str]:
    return [name for name, text in pages.items() if _kept(name) != text]


def main() -> int:
    pages = generated()
    if "--write" in sys.argv:
        for name in stale(pages):
            (REFERENCE / name).write_text(pages[name])
    found = [f"undocumented: {what}" for what in UNDOCUMENTED]
    found += [f"out of date: {name} (run scripts/check_docs.py --write)" for name in stale(pages)]
    found += [f"leads nowhere: {link}" for link in dead_links()]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def _kept(name: str) -> str:
    path = REFERENCE / name
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())

"""``compagnon articles import``: a folder of documents of others, with its progress and what was left out."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from compagnon.app.commands import member_of, with_services
from compagnon.app.wiring import Services
from compagnon.settings import Settings
from kb.imports.model import EXPECTED, REASONS, Order, Run, Skipped, reason_params

SHOWN = 50  # files that somebody may want to mend


def articles_import(settings: Settings, arguments: argparse.Namespace) -> int:
    folder = Path(arguments.folder)
    order = Order(
        name=arguments.name or folder.resolve().name,
        format=arguments.format or "",
        locale=arguments.language or "",
        licence=arguments.licence or "",
        label=printable(folder.resolve()),
    )

    async def work(services: Services) -> int:
        author = await member_of(services, arguments.author)
        run = await services.kb.imports.from_folder(folder, order, author, progress)
        show(order.name, run, await services.kb.imports.skipped(run.id))
        return 0

    return with_services(settings, work)


def printable(path: Path) -> str:
    """A path as text, also when its bytes are none."""
    return str(path).encode("utf-8", "replace").decode()


def progress(done: int, total: int) -> None:
    print(f"\r{done} of {total} documents", end="", flush=True)


def show(name: str, run: Run, skipped: Sequence[Skipped]) -> None:
    """The summary: what came in, what was left out on purpose, and every file that is at fault."""
    print()
    for path, reason in _at_fault(skipped):
        print(f"{path}: {reason}", file=sys.stderr)
    print(
        f"{name}: {run.added} new, {run.changed} changed, {run.unchanged} unchanged, {run.proposed} to be reviewed, "
        f"{run.removed} gone from the source, {run.skipped} files left out."
    )
    for reason, count in Counter(one.reason for one in skipped).most_common():
        print(f"  {count} × {REASONS[reason].format(**reason_params(reason))}")


def _at_fault(skipped: Sequence[Skipped]) -> list[tuple[str, str]]:
    faults = [one for one in skipped if one.reason not in EXPECTED]
    told = [(one.path, _told(one)) for one in faults[:SHOWN]]
    return told + ([("…", f"{len(faults) - SHOWN} more")] if len(faults) > SHOWN else [])


def _told(one: Skipped) -> str:
    reason = REASONS[one.reason].format(**reason_params(one.reason))
    return f"{reason} ({one.detail})" if one.detail else reason

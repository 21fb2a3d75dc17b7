"""Importing whole collections, new and again, on an embedded PostgreSQL of its own.

``python bench/imports.py``: every folder of COMPAGNON_CORPORA (default: ``../shared/corpora`` beside the project).
Prints for each the documents taken and left out, the seconds to read and parse it, to import it, and to import it
unchanged once more; and, from the same run, the time of an empty transaction.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from compagnon.app.database import database_address, prepare
from compagnon.app.wiring import Services, build_services, running
from compagnon.auth.model import Member, Role
from compagnon.settings import Settings
from kb.imports.model import Order
from kb.imports.plan import planned
from kb.imports.reading import read_folder

CORPORA = Path(os.environ.get("COMPAGNON_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"))


async def main() -> int:
    folders = sorted(one for one in CORPORA.iterdir() if one.is_dir()) if CORPORA.is_dir() else []
    if not folders:
        print(f"no collections in {CORPORA} (COMPAGNON_CORPORA)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="compagnon-bench-") as folder:
        Path(folder).chmod(0o711)
        settings = Settings.load({}, data_dir=Path(folder))
        with database_address(settings) as url:
            await prepare(url)
            services = build_services(settings, url)
            async with running(services, background=False):
                await measure(services, folders)
    return 0


async def measure(services: Services, folders: list[Path]) -> None:
    ada = await services.kernel.members.create(
        email="ada@example.org", name="Ada", role=Role.ADMINISTRATOR, password="correct horse battery"
    )
    print(f"{'collection':22} {'taken':>6} {'left out':>9} {'parse s':>8} {'import s':>9} {'again s':>8}")
    sums = [0, 0, 0.0, 0.0, 0.0]
    for folder in folders:
        values = await one(services, folder, ada)
        print(f"{folder.name:22} {values[0]:6} {values[1]:9} {values[2]:8.2f} {values[3]:9.2f} {values[4]:8.2f}")
        sums = [total + value for total, value in zip(sums, values, strict=True)]
    print(f"{'together':22} {sums[0]:6} {sums[1]:9} {sums[2]:8.2f} {sums[3]:9.2f} {sums[4]:8.2f}")
    print(f"{sums[0] / sums[3]:.0f} documents/s; an empty transaction takes {await transaction(services):.2f} ms")


async def one(services: Services, folder: Path, ada: Member) -> tuple[int, int, float, float, float]:
    order = Order(name=folder.name)
    start = time.perf_counter()
    planned(read_folder(folder), order)
    parsed = time.perf_counter()
    run = await services.kb.imports.from_folder(folder, order, ada)
    imported = time.perf_counter()
    again = await services.kb.imports.from_folder(folder, order, ada)
    ended = time.perf_counter()
    assert (again.added, again.changed, again.unchanged) == (0, 0, run.added)
    return run.added, run.skipped, parsed - start, imported - parsed, ended - imported


async def transaction(services: Services, rounds: int = 200) -> float:
    start = time.perf_counter()
    for _ in range(rounds):
        async with services.kernel.db.transaction() as conn:
            await conn.execute("SELECT 1")
    return (time.perf_counter() - start) * 1000 / rounds


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

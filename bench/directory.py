"""Finding one of 50,000 clients by a fragment of a name, a phone number or a town, as someone types it.

``python bench/directory.py [--clients 50000]``, on an embedded PostgreSQL of its own. Prints p50, p95 and the
slowest, in milliseconds, and the ratio to ``SELECT 1`` in the same run. Target: every one under 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from compagnon.app.database import database_address, prepare
from compagnon.db import Database
from compagnon.directory.service import Directory
from compagnon.settings import Settings

FIRST = ("Menuiserie", "Boulangerie", "Garage", "Cabinet", "École", "Scierie", "Hôtel", "Mairie", "Ferme", "Atelier")
LAST = (
    "Le Goff",
    "Martin",
    "Fischer",
    "Durand",
    "Petit",
    "Kerjean",
    "Moreau",
    "Lefèvre",
    "Garnier",
    "Rousseau",
    "Faure",
)
TOWNS = (("Rennes", "35"), ("Brest", "29"), ("Nantes", "44"), ("Lyon", "69"), ("Saint-Étienne", "42"), ("Épinal", "88"))
FRAGMENTS = ("men", "goff", "lef", "61910", "0261", "saint", "epinal", "hotel k", "boul", "99 1", "zzzz", "r", "le")
FILL = """
WITH made AS (
    INSERT INTO clients (kind, name)
    SELECT 'company', (%(first)s::text[])[1 + n %% 10] || ' ' || (%(last)s::text[])[1 + n %% 11] || ' ' || n
    FROM generate_series(1, %(count)s) n RETURNING id
), sites AS (
    INSERT INTO sites (client_id, town, departement)
    SELECT id, (%(towns)s::text[])[1 + id %% 6], (%(departements)s::text[])[1 + id %% 6] FROM made
)
INSERT INTO client_phones (client_id, number, digits)
SELECT id, '02 61 91 ' || id, '026191' || lpad(id::text, 6, '0') FROM made
"""
ROUNDS = 40


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="compagnon-bench-") as folder:
        Path(folder).chmod(0o711)
        with database_address(Settings.load({}, data_dir=Path(folder))) as url:
            await prepare(url)
            async with Database(url) as db:
                await measure(db, count)


async def measure(db: Database, count: int) -> None:
    directory = Directory(db)
    towns, departements = zip(*TOWNS, strict=True)
    values = {
        "first": list(FIRST),
        "last": list(LAST),
        "count": count,
        "towns": list(towns),
        "departements": list(departements),
    }
    async with db.transaction() as conn:
        await conn.execute(FILL, values)
    await directory.refresh_all()
    async with db.connection() as conn:
        await conn.execute("ANALYZE")
    reference = await times(lambda: one(db))
    every: list[float] = []
    for fragment in FRAGMENTS:
        found = len(await directory.search(fragment))
        taken = await times(lambda fragment=fragment: directory.search(fragment))  # type: ignore[misc]
        every += taken
        print(
            f"{fragment!r:12} {found:3} shown   p50 {statistics.median(taken):6.1f} ms   slowest {max(taken):6.1f} ms"
        )
    p95 = statistics.quantiles(every, n=20)[-1]
    print(f"{count} clients: p50 {statistics.median(every):.1f} ms, p95 {p95:.1f} ms, slowest {max(every):.1f} ms")
    single, ratio = statistics.median(reference), statistics.median(every) / statistics.median(reference)
    print(f"SELECT 1: p50 {single:.2f} ms; the search is {ratio:.0f} x")


async def one(db: Database) -> None:
    async with db.connection() as conn:
        await conn.execute("SELECT 1")


async def times(work: Callable[[], Awaitable[object]]) -> list[float]:
    taken = []
    for _ in range(ROUNDS):
        await asyncio.sleep(random.uniform(0, 0.002))
        start = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - start) * 1000)
    return taken


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--clients", type=int, default=50_000)
    asyncio.run(main(arguments.parse_args().clients))

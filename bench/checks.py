"""What a machine's scheduled checks cost it: 200 files and 50 services, as the agent evaluates them.

    python bench/checks.py

In milliseconds, the whole way: the look at who may read what, the process that evaluates, its answers. The reference is
the start of a Python process that does nothing, in the same run; both are the best and the median of several.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from compagnon_agent.checks.service import SYSTEMD
from compagnon_agent.evaluate import evaluate, sight_of
from compagnon_agent.protocol.checks import Check

FILES, SERVICES, TIMES = 200, 50, 9


def checks() -> tuple[Check, ...]:
    found = [str(path) for path in sorted(Path("/usr/share").glob("*/*")) if path.is_file()][:FILES]
    names = [*found, *(f"/nowhere/{number}" for number in range(FILES - len(found)))]
    files = [Check(resource="file", key=name, attributes={"exists": True, "mode": "0644"}) for name in names]
    services = [
        Check(resource="service", key=f"service-{number}", attributes={"running": True, "enabled": True})
        for number in range(SERVICES)
    ]
    return (*files, *services)


async def _timed(job: Callable[[], Awaitable[object]]) -> list[float]:
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        await job()
        taken.append((time.perf_counter() - started) * 1000)
    return taken


async def measure() -> None:
    wanted = checks()

    async def look() -> None:
        await sight_of(wanted)
        results = await evaluate(wanted, timeout=60, commands=False)
        assert len(results) == len(wanted)
        assert not [result for result in results if "ended unexpectedly" in result.reason]

    async def nothing() -> None:
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", "pass"], check=True)

    await look()
    ours, reference = await _timed(look), await _timed(nothing)
    how = "systemd" if SYSTEMD.is_dir() else "System V scripts (no systemd here)"
    print(f"{len(wanted)} checks, {FILES} files and {SERVICES} services by {how}:")
    print(f"best {min(ours):.0f} ms, median {statistics.median(ours):.0f} ms")
    print(f"a Python process that does nothing: best {min(reference):.0f} ms; ratio {min(ours) / min(reference):.1f}")


if __name__ == "__main__":
    asyncio.run(measure())

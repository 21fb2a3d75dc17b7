"""Run every bench, one after the other, each in its own process: ``make bench`` or ``bench/run.py terminal start``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
ORDER = (
    "start",
    "pages",
    "directory",
    "records",
    "search",
    "relevance",
    "search_page",
    "imports",
    "terminal",
    "first_paint",
    "checks",
    "files",
    "agents",
)


def main() -> int:
    chosen = sys.argv[1:] or ORDER
    unknown = [name for name in chosen if name not in ORDER]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(ORDER)}", file=sys.stderr)
        return 2
    failed = [name for name in chosen if _run(name) != 0]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str) -> int:
    print(f"\n== {name} ==", flush=True)
    return subprocess.run([sys.executable, str(FOLDER / f"{name}.py")], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

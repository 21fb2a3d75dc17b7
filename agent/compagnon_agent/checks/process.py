"""``process``: programs by name."""

from __future__ import annotations

from collections import Counter

import psutil

from .common import Observed, Question


def observe(question: Question) -> Observed:
    names = question.batch.once("processes", _names)
    count = names[question.key] + names[f"{question.key}.exe"]
    return {"running": count > 0, "count": count}


def _names() -> Counter[str]:
    return Counter(
        process.info["name"] or ""
        for process in psutil.process_iter(["name", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
    )

"""``process``: programs by name."""

from __future__ import annotations

import psutil

from .common import Observed, Question


def observe(question: Question) -> Observed:
    count = 0
    for process in psutil.process_iter(["name", "status"]):
        name = process.info["name"] or ""
        if name in (question.key, f"{question.key}.exe") and process.info["status"] != psutil.STATUS_ZOMBIE:
            count += 1
    return {"running": count > 0, "count": count}

"""What a recent review is worth when two documents are equally good."""

from __future__ import annotations

from datetime import date, timedelta

WEIGHT = 0.03  # share of the best text score, for a document reviewed today
FADES = timedelta(days=365)


def weight(reviewed: str, today: date) -> float:
    """``reviewed`` is an ISO date, "" unknown: less from day to day, nothing after :data:`FADES` or without a date."""
    try:
        age = max(today - date.fromisoformat(reviewed), timedelta(0))
    except ValueError:
        return 0.0
    return WEIGHT * max(0.0, 1 - age / FADES)

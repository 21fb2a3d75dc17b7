"""ISO 8601 durations (ISO 8601-1:2019 §5.5.2.2), as ``esttime`` and ``review_every`` write them."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

_SHAPE = re.compile(
    r"P(?:(\d{1,3})Y)?(?:(\d{1,3})M)?(?:(\d{1,3})W)?(?:(\d{1,4})D)?(?:T(?=\d)(?:(\d{1,3})H)?(?:(\d{1,4})M)?(?:(\d{1,5})S)?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """Whole, non-negative units; at least one is not zero when made by ``parse``."""

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0
    hours: int = 0
    minutes: int = 0
    seconds: int = 0

    @classmethod
    def parse(cls, text: str) -> Duration:
        """``"PT1H30M"`` → a duration; ValueError for anything else, and for nothing at all (``"PT0M"``)."""
        match = _SHAPE.fullmatch(text)
        numbers = [int(group or 0) for group in match.groups()] if match else []
        if not any(numbers):
            raise ValueError(text)
        names = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")
        return cls(**dict(zip(names, numbers, strict=True)))

    def __str__(self) -> str:
        day = _units((self.years, "Y"), (self.months, "M"), (self.weeks, "W"), (self.days, "D"))
        clock = _units((self.hours, "H"), (self.minutes, "M"), (self.seconds, "S"))
        return f"P{day}{'T' if clock else ''}{clock}"

    @property
    def minutes_total(self) -> int:
        """Rounded up, months of 30 days and years of 365: for showing and adding up, not for the calendar."""
        days = self.years * 365 + self.months * 30 + self.weeks * 7 + self.days
        return (days * 24 + self.hours) * 60 + self.minutes + -(-self.seconds // 60)

    def after(self, day: date) -> date:
        """``day`` plus this duration on the calendar (31 January + P1M: the last of February), without hours."""
        months = day.month - 1 + self.months
        year, month = day.year + self.years + months // 12, months % 12 + 1
        moved = date(year, month, min(day.day, monthrange(year, month)[1]))
        return moved + timedelta(weeks=self.weeks, days=self.days)


def _units(*pairs: tuple[int, str]) -> str:
    return "".join(f"{number}{unit}" for number, unit in pairs if number)

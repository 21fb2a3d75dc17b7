"""Dates, times, durations and numbers as the current language writes them (Babel; CLDR).

Moments are shown in the co-operative's time zone: where the clients' clocks are.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import date as Date
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import dates, numbers

from compagnon.i18n.catalogues import N_, current_locale, gettext, ngettext

ZONE = ZoneInfo("Europe/Paris")
SOON = timedelta(seconds=45)


def date(value: Date | datetime | None, style: str = "medium") -> str:
    """``23 nov. 2026``. Styles: short, medium, long, full."""
    if value is None:
        return ""
    day = value.astimezone(ZONE).date() if isinstance(value, datetime) else value
    return dates.format_date(day, format=style, locale=_locale())


def time(value: datetime | None, style: str = "short") -> str:
    """``14:05``."""
    return dates.format_time(value, format=style, tzinfo=ZONE, locale=_locale()) if value else ""


def moment(value: datetime | None, style: str = "medium") -> str:
    """``23 nov. 2026, 14:05``."""
    if value is None:
        return ""
    return f"{date(value, style)} {time(value)}"


def iso(value: Date | datetime | None) -> str:
    """For ``<time datetime=…>`` and scripts: RFC 3339, UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return value.isoformat() if value else ""


def relative(value: datetime | None, *, now: datetime | None = None) -> str:
    """``il y a 3 minutes``, ``dans 2 jours``; ``à l'instant`` within 45 seconds."""
    if value is None:
        return ""
    delta = value - (now or datetime.now(UTC))
    if abs(delta) < SOON:
        return gettext("just now")
    return dates.format_timedelta(delta, add_direction=True, threshold=1.2, locale=_locale())


def duration(value: timedelta | float | int | None) -> str:
    """``2 h 05 min``, ``12 min``, ``40 s``; a number is in seconds."""
    if value is None:
        return ""
    seconds = int(value.total_seconds() if isinstance(value, timedelta) else value)
    if seconds < 60:
        return ngettext("{n} s", "{n} s", max(0, seconds))
    if seconds < 3600:
        return ngettext("{n} min", "{n} min", seconds // 60)
    hours, minutes = divmod(seconds // 60, 60)
    return gettext("{hours} h {minutes} min", hours=hours, minutes=f"{minutes:02}")


def number(value: float | int | Decimal | None) -> str:
    """``12 345,6``."""
    return "" if value is None else numbers.format_decimal(value, locale=_locale())


def filesize(value: int | None) -> str:
    """``3,4 Mo`` (powers of 1000, as storage is sold; IEC 80000-13)."""
    if value is None:
        return ""
    size = float(value)
    for unit in UNITS:
        if abs(size) < 1000 or unit == UNITS[-1]:
            shown = numbers.format_decimal(round(size, 1), locale=_locale())
            return f"{shown} {gettext(unit)}"
        size /= 1000
    raise AssertionError("unreachable")


def _locale() -> str:
    return "en_GB" if current_locale() == "en" else current_locale()


UNITS = (N_("B"), N_("kB"), N_("MB"), N_("GB"), N_("TB"))

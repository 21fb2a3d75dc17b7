"""Which language a page is shown in."""

from __future__ import annotations

from compagnon.auth.model import LOCALES


def negotiate(header: str, default: str) -> str:
    """The best of our locales for an Accept-Language header (RFC 9110 §12.5.4), else ``default``."""
    best, weight = default, 0.0
    for part in header[:1000].split(","):
        tag, _, quality = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        known = default if language == "*" else language
        value = _quality(quality)
        if known in LOCALES and value > weight:
            best, weight = known, value
    return best


def _quality(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if not name:
        return 1.0
    try:
        return max(0.0, min(1.0, float(value))) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0

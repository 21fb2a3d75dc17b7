"""Cookies: always HttpOnly, SameSite=Lax, whole-site; Secure and ``__Host-`` over https (ASVS 5.0 §3.3)."""

from __future__ import annotations

from compagnon.settings import Settings

SIGN_IN = "compagnon"
VISITOR = "compagnon_visitor"
LANGUAGE = "compagnon_language"
YEAR = 365 * 24 * 3600


def name_of(settings: Settings, base: str = SIGN_IN) -> str:
    """The cookie's name: with https browsers accept ``__Host-`` cookies from this very host only."""
    return f"__Host-{base}" if settings.secure else base


def build(name: str, value: str, *, secure: bool, max_age: int | None = None) -> str:
    """A Set-Cookie value. ``max_age`` in seconds; 0 removes the cookie, None keeps it until the browser closes."""
    age = f"; Max-Age={max_age}" if max_age is not None else ""
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}{'; Secure' if secure else ''}"

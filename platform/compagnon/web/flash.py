"""Toasts that outlive a redirect, in a short signed cookie."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from compagnon.settings import Settings
from compagnon.web.context import Toast
from compagnon.web.cookies import build

NAME = "compagnon_toasts"
LIMIT = 2400  # bytes of JSON; a cookie holds 4096 (RFC 6265 §6.1)
SECONDS = 60


def set_cookie(settings: Settings, toasts: list[Toast]) -> str:
    """A Set-Cookie value that carries these toasts to the next page, or removes those that were shown."""
    if not toasts:
        return build(NAME, "", secure=settings.secure, max_age=0)
    items = [[item.kind, item.text[:400]] for item in toasts[-3:]]
    payload = base64.urlsafe_b64encode(json.dumps(items, ensure_ascii=False).encode()[:LIMIT]).decode()
    return build(NAME, f"{payload}.{_signature(settings, payload)}", secure=settings.secure, max_age=SECONDS)


def read(settings: Settings, cookie: str) -> list[Toast]:
    """The toasts of a cookie that we signed; anything else is ignored."""
    payload, _, signature = cookie.partition(".")
    if not payload or not hmac.compare_digest(signature, _signature(settings, payload)):
        return []
    try:
        items = json.loads(base64.urlsafe_b64decode(payload))
    except ValueError:
        return []
    return [Toast(kind=kind, text=text) for kind, text in items]


def _signature(settings: Settings, payload: str) -> str:
    return hmac.new(settings.secret_key.encode(), b"toast\0" + payload.encode(), hashlib.sha256).hexdigest()[:32]

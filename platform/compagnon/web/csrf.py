"""Cross-site request forgery: a token bound to the sign-in, and where the request comes from.

Both are checked on every unsafe method (ASVS 5.0 §3.5.1, §3.5.2). Before sign-in the token is bound to a random cookie.
Routes for machines, which carry no cookie, say ``opt={"csrf": False}``.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType

from compagnon.errors import Forbidden
from compagnon.i18n import N_

FIELD = "_csrf_token"
HEADER = "x-csrftoken"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FORMS = frozenset({RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART})
Connection = ASGIConnection[Any, Any, Any, Any]


def token_for(secret_key: str, seed: str) -> str:
    """The token of a sign-in (``seed`` is its cookie) or of a visitor (``seed`` is the anonymous cookie)."""
    return hmac.new(secret_key.encode(), b"csrf\0" + seed.encode(), hashlib.sha256).hexdigest()


def new_seed() -> str:
    return secrets.token_urlsafe(24)


def check_origin(connection: Connection, public_url: str, *, required: bool = False) -> None:
    """Raises Forbidden when the browser says that another site made this request.

    ``required``: WebSockets, where a browser always sends Origin (RFC 6455 §10.2).
    """
    site = connection.headers.get("sec-fetch-site")
    origin = connection.headers.get("origin")
    if site not in {None, "same-origin", "none"} or (required and origin is None):
        raise Forbidden(FOREIGN)
    if origin is not None and not _same(origin, connection.headers.get("host", ""), public_url):
        raise Forbidden(FOREIGN)


def _same(origin: str, host: str, public_url: str) -> bool:
    parts = urlsplit(origin)
    return origin == public_url or (parts.scheme in {"http", "https"} and parts.netloc == host)


async def check_token(request: Request[Any, Any, Any], expected: str) -> None:
    """Raises Forbidden unless the request carries the token, in its header or in the form's field."""
    given = request.headers.get(HEADER) or await _from_form(request)
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forbidden(STALE)


async def _from_form(request: Request[Any, Any, Any]) -> str:
    if request.content_type[0] not in FORMS:
        return ""
    form = await request.form()
    value = form.get(FIELD, "")
    return value if isinstance(value, str) else ""


FOREIGN = N_("This request came from another site and was refused.")
STALE = N_("This page is too old to send that. Reload it and try again: what you typed is still in your browser.")

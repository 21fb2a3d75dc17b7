"""What is known about one request; made by the middleware, read by pages, guards and hooks."""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast

from litestar.types import Scope

from compagnon.auth.model import Member, SignIn

KEY = "compagnon_request"


@dataclass(slots=True, kw_only=True)
class Toast:
    text: str
    kind: str  # success, info, warning or danger


@dataclass(slots=True, kw_only=True)
class RequestContext:
    request_id: str
    locale: str
    member: Member | None = None
    sign_in: SignIn | None = None
    csrf_token: str = ""
    anonymous_csrf: str = ""  # a new seed to be set as a cookie
    arrived: list[Toast] = field(default_factory=list)  # said by the page before
    toasts: list[Toast] = field(default_factory=list)  # said while answering this request
    cookies: list[str] = field(default_factory=list)  # complete Set-Cookie values to send


_current: ContextVar[RequestContext | None] = ContextVar("compagnon_request", default=None)


def new(locale: str) -> RequestContext:
    return RequestContext(request_id=secrets.token_hex(6), locale=locale)


def current() -> RequestContext | None:
    """The request this task answers; for what is called inside a template."""
    return _current.get()


def put(scope: Scope, context: RequestContext) -> None:
    cast("dict[str, Any]", scope)[KEY] = context
    _current.set(context)


def of(scope: Scope) -> RequestContext | None:
    return cast("RequestContext | None", scope.get(KEY))


def need(scope: Scope) -> RequestContext:
    context = of(scope)
    if context is None:  # a request that no route matched: no middleware ran
        context = new("fr")
        put(scope, context)
    return context

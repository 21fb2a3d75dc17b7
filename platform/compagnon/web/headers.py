"""The headers of every answer (ASVS 5.0 §3.4), set in one hook that also sees answers no route made.

A route widens the policy for itself only: ``opt={"terminal_styles": True}`` lets scripts add ``<style>`` elements
(xterm.js does), ``opt={"wasm": True}`` lets them compile WebAssembly (asciinema-player does), ``opt={"cache": True}``
lets a route that sets its own Cache-Control keep it. ``opt={"sandbox": True}`` is for bytes that are somebody else's.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

from compagnon.settings import Settings
from compagnon.web import context as contexts
from compagnon.web import flash
from compagnon.web.context import RequestContext, Toast

Hook = Callable[[Message, Scope], Awaitable[None]]

FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=(), "
    "clipboard-read=(self), clipboard-write=(self), fullscreen=(self)",
}
HSTS = "max-age=31536000; includeSubDomains"


def content_security_policy(opt: Mapping[str, Any], *, secure: bool) -> str:
    """Everything from this server, nothing inline; see the module's text for what a route may widen."""
    if opt.get("sandbox"):
        return "default-src 'none'; sandbox; frame-ancestors 'none'"
    script = "'self' 'wasm-unsafe-eval'" if opt.get("wasm") else "'self'"
    style = "'self' 'unsafe-inline'" if opt.get("terminal_styles") else "'self'"
    rules = [
        "default-src 'none'",
        f"script-src {script}",
        f"style-src {style}",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' blob:",
        "connect-src 'self' data:" if opt.get("wasm") else "connect-src 'self'",
        "worker-src 'self' blob:" if opt.get("wasm") else "worker-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        *(["upgrade-insecure-requests"] if secure else []),
    ]
    return "; ".join(rules)


def make_hook(settings: Settings) -> Hook:
    """The application's ``before_send`` hook."""

    async def before_send(message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        headers = MutableScopeHeaders.from_message(message)
        _security(headers, scope, secure=settings.secure)
        context = contexts.of(scope)
        if context is None:
            return
        headers["X-Request-Id"] = context.request_id
        _redirect_for_htmx(message, headers, scope)
        _carry_toasts(message, headers, scope, context, settings)
        for cookie in context.cookies:
            headers.add("Set-Cookie", cookie)

    return before_send


def _security(headers: MutableScopeHeaders, scope: Scope, *, secure: bool) -> None:
    opt = getattr(scope.get("route_handler"), "opt", None) or {}
    for name, value in FIXED.items():
        headers[name] = value
    headers["Content-Security-Policy"] = content_security_policy(opt, secure=secure)
    if secure:
        headers["Strict-Transport-Security"] = HSTS
    if not opt.get("cache") or "cache-control" not in headers:
        headers["Cache-Control"] = "no-store"


def _redirect_for_htmx(message: Message, headers: MutableScopeHeaders, scope: Scope) -> None:
    """A form sent by htmx and answered by 303 leads the whole browser there, as it would without JavaScript."""
    asked = _request_header(scope, b"hx-request") == "true" and _request_header(scope, b"hx-boosted") != "true"
    if asked and message.get("status") == 303 and "location" in headers:
        headers["HX-Redirect"] = headers["location"]
        del headers["location"]
        message["status"] = 200  # type: ignore[typeddict-unknown-key]


def _carry_toasts(
    message: Message, headers: MutableScopeHeaders, scope: Scope, context: RequestContext, settings: Settings
) -> None:
    leads_on = message.get("status") in {301, 302, 303, 307} or "hx-redirect" in headers
    if context.toasts and not leads_on and _request_header(scope, b"hx-request") == "true":
        headers["HX-Trigger"] = trigger(headers.get("hx-trigger"), context.toasts)
        context.toasts = []
    waiting = [*context.arrived, *context.toasts]
    if waiting or _has_flash(scope):
        context.cookies.append(flash.set_cookie(settings, waiting))


def trigger(existing: str | None, toasts: list[Toast]) -> str:
    """An HX-Trigger header that also says the toasts."""
    events: dict[str, Any] = {}
    if existing and existing.startswith("{"):
        events.update(json.loads(existing))
    elif existing:
        events.update({name.strip(): None for name in existing.split(",")})
    events["toasts"] = {"items": [{"text": item.text, "kind": item.kind} for item in toasts]}
    return json.dumps(events)


def _has_flash(scope: Scope) -> bool:
    return f"{flash.NAME}=".encode() in b";".join(value for name, value in scope["headers"] if name == b"cookie")


def _request_header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")

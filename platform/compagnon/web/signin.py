"""The outermost middleware: who is asking, in which language, from which site; then the handler.

A route needs sign-in unless its ``opt`` says otherwise:

``public``     anyone may use it; a member who is signed in is still known
``anonymous``  with ``public``: the cookie is not even looked at (static files, machines)
``csrf``       False: no token and no Origin is asked for (machines, which carry no cookie)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import PermissionDeniedException
from litestar.middleware import ASGIMiddleware
from litestar.response import Redirect, Response
from litestar.types import ASGIApp, Receive, Scope, Send

from compagnon.auth.sign_ins import SignIns
from compagnon.errors import AppError
from compagnon.i18n import LOCALES, N_, negotiate
from compagnon.i18n.catalogues import set_locale
from compagnon.settings import Settings
from compagnon.web import context as contexts
from compagnon.web import cookies, csrf, flash
from compagnon.web.context import RequestContext

log = logging.getLogger(__name__)
SLOW = 1.0  # seconds
SIGN_IN_PAGE = "/sign-in"


class SignInMiddleware(ASGIMiddleware):
    scopes = (ScopeType.HTTP, ScopeType.WEBSOCKET)

    def __init__(self, settings: Settings, sign_ins: SignIns) -> None:
        self._settings = settings
        self._sign_ins = sign_ins

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        opt: Mapping[str, Any] = scope["route_handler"].opt
        started = time.monotonic()
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope, receive, send)
        context = await self._context(connection, opt)
        contexts.put(scope, context)
        scope["user"], scope["auth"] = context.member, context.sign_in
        set_locale(context.locale)
        if context.member is None and not opt.get("public"):
            await self._ask_to_sign_in(scope, receive, send)
            return
        await self._check_origin(scope, receive, send, opt, context)
        await next_app(scope, receive, send)
        self._log_slow(scope, opt, started, context)

    async def _context(self, connection: ASGIConnection[Any, Any, Any, Any], opt: Mapping[str, Any]) -> RequestContext:
        settings, jar = self._settings, connection.cookies
        context = contexts.new(self._locale(connection))
        if opt.get("anonymous"):
            return context
        token = jar.get(cookies.name_of(settings), "")
        if found := await self._sign_ins.resolve(token):
            context.member, context.sign_in = found
            context.locale = context.member.locale
            context.csrf_token = csrf.token_for(settings.secret_key, token)
        else:
            self._know_visitor(context, jar.get(cookies.name_of(settings, cookies.VISITOR), ""))
        if arrived := jar.get(flash.NAME):
            context.arrived = flash.read(settings, arrived)
        return context

    def _locale(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        chosen = connection.cookies.get(cookies.LANGUAGE, "")
        if chosen in LOCALES:
            return chosen
        return negotiate(connection.headers.get("accept-language", ""), self._settings.default_locale)

    def _know_visitor(self, context: RequestContext, seed: str) -> None:
        """Bind a visitor's forms to a random cookie, made when there is none."""
        if not 20 <= len(seed) <= 100:
            seed = csrf.new_seed()
            name = cookies.name_of(self._settings, cookies.VISITOR)
            context.cookies.append(cookies.build(name, seed, secure=self._settings.secure))
        context.csrf_token = csrf.token_for(self._settings.secret_key, seed)

    async def _check_origin(
        self, scope: Scope, receive: Receive, send: Send, opt: Mapping[str, Any], context: RequestContext
    ) -> None:
        if opt.get("csrf") is False:
            return
        connection: ASGIConnection[Any, Any, Any, Any] = ASGIConnection(scope, receive, send)
        if scope["type"] == ScopeType.WEBSOCKET:
            _check_websocket(connection, self._settings.public_url)
        elif scope["method"] not in csrf.SAFE:
            csrf.check_origin(connection, self._settings.public_url)
            request: Request[Any, Any, Any] = scope["litestar_app"].request_class(scope, receive, send)
            await csrf.check_token(request, context.csrf_token)

    async def _ask_to_sign_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            raise PermissionDeniedException(detail="not signed in")
        request: Request[Any, Any, Any] = scope["litestar_app"].request_class(scope, receive, send)
        await sign_in_answer(request).to_asgi_response(None, request)(scope, receive, send)

    def _log_slow(self, scope: Scope, opt: Mapping[str, Any], started: float, context: RequestContext) -> None:
        took = time.monotonic() - started
        if took > SLOW and scope["type"] == ScopeType.HTTP and not opt.get("stream"):
            log.warning("slow: %s took %.1f s (request %s)", scope["path"], took, context.request_id)


def sign_in_answer(request: Request[Any, Any, Any]) -> Response[Any]:
    """A page leads to sign-in and back; htmx is led there whole; anything else is told 401."""
    address = f"{SIGN_IN_PAGE}?next={quote(_wanted(request), safe='/')}"
    if request.headers.get("hx-request") == "true":
        return Response(None, status_code=401, headers={"HX-Redirect": address})
    if "text/html" in request.headers.get("accept", "") or request.method not in csrf.SAFE:
        return Redirect(address, status_code=303)
    return Response({"error": N_("Please sign in first.")}, status_code=401)


def _wanted(request: Request[Any, Any, Any]) -> str:
    if request.headers.get("hx-request") == "true" or request.method not in csrf.SAFE:
        return "/"
    query = request.scope["query_string"].decode("latin-1")
    return request.scope["path"] + (f"?{query}" if query else "")


def _check_websocket(connection: ASGIConnection[Any, Any, Any, Any], public_url: str) -> None:
    try:
        csrf.check_origin(connection, public_url, required=True)
    except AppError as error:
        raise PermissionDeniedException(detail=str(error)) from None

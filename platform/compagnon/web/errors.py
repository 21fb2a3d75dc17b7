"""Every refusal and every fault as a page, a toast or JSON, in the reader's language, with the request's id."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.response import Response
from litestar.types import ExceptionHandlersMap
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from compagnon.errors import AppError, TooMany, Unavailable
from compagnon.i18n import LOCALES, N_, gettext, negotiate
from compagnon.i18n.catalogues import set_locale
from compagnon.settings import Settings
from compagnon.web import context as contexts
from compagnon.web import cookies
from compagnon.web.context import RequestContext, Toast
from compagnon.web.render import page

GONE = "client disconnected prematurely"  # Litestar's words; nobody reads the answer, nothing failed here
log = logging.getLogger(__name__)
AnyRequest = Request[Any, Any, Any]

TITLES: Mapping[int, str] = {
    400: N_("This request cannot be understood"),
    401: N_("Please sign in"),
    403: N_("You may not do this"),
    404: N_("There is nothing here"),
    405: N_("This cannot be done here"),
    409: N_("Someone was faster"),
    413: N_("This is too large"),
    422: N_("Something is not right yet"),
    429: N_("Too many tries"),
    500: N_("Something went wrong on our side"),
    503: N_("This does not work right now"),
}
MESSAGES: Mapping[int, str] = {
    400: N_("Go back and try again; if it happens again, tell an administrator the number below."),
    403: N_("Ask the person in charge, or an administrator."),
    404: N_("The address may be mistyped, or what it named was removed. The search finds everything else."),
    405: N_("Go back and use the page's own buttons."),
    413: N_("Send less at once."),
    422: N_("Go back and look at the marked fields."),
    500: N_("Nothing you did is lost. Try again; if it happens again, tell an administrator the number below."),
    503: N_("Try again in a moment."),
}


def exception_handlers(settings: Settings) -> ExceptionHandlersMap:
    """For ``Litestar(exception_handlers=…)``: everything ends here."""

    def refuse(request: AnyRequest, error: Exception) -> Response[Any]:
        assert isinstance(error, AppError)
        message = gettext(error.message, **error.params)
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooMany) else {}
        return _answer(request, error.status, message, headers=headers, code=getattr(error, "code", ""))

    def refuse_http(request: AnyRequest, error: Exception) -> Response[Any]:
        assert isinstance(error, HTTPException)
        if error.status_code >= 500:
            return fault(request, error)
        allow = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
        return _answer(request, error.status_code, "", headers=allow)

    def unavailable(request: AnyRequest, error: Exception) -> Response[Any]:
        log.error("request %s: the database does not answer (%s)", _context(request).request_id, error)
        return _answer(request, Unavailable.status, "")

    def fault(request: AnyRequest, error: Exception) -> Response[Any]:
        if getattr(error, "detail", "") == GONE:
            return _answer(request, 400, "")
        identity = _context(request).request_id
        log.error("request %s: %s %s failed", identity, request.method, request.scope["path"], exc_info=error)
        return _answer(request, 500, "")

    def known(handler: Callable[[AnyRequest, Exception], Response[Any]]) -> Callable[[AnyRequest, Any], Response[Any]]:
        def handle(request: AnyRequest, error: Any) -> Response[Any]:  # noqa: ANN401 - whatever was raised
            _greet(request, settings)
            return handler(request, error)

        return handle

    return {
        AppError: known(refuse),
        HTTPException: known(refuse_http),
        PoolTimeout: known(unavailable),
        OperationalError: known(unavailable),  # among others: the connection broke during the request
        500: known(fault),
    }


def _context(request: AnyRequest) -> RequestContext:
    return contexts.need(request.scope)


def _greet(request: AnyRequest, settings: Settings) -> None:
    """A request that no route matched has no context yet: find at least its language."""
    if contexts.of(request.scope) is None:
        connection: ASGIConnection[Any, Any, Any, Any] = request
        chosen = connection.cookies.get(cookies.LANGUAGE, "")
        header = connection.headers.get("accept-language", "")
        locale = chosen if chosen in LOCALES else negotiate(header, settings.default_locale)
        contexts.put(request.scope, contexts.new(locale))
    set_locale(_context(request).locale)


def _answer(
    request: AnyRequest, status: int, message: str, *, headers: Mapping[str, str] | None = None, code: str = ""
) -> Response[Any]:
    title = gettext(TITLES.get(status, TITLES[400]))
    text = message or gettext(MESSAGES.get(status, MESSAGES[400]))
    if request.headers.get("hx-request") == "true":
        return _toast(request, status, message or f"{title}. {text}", headers)
    if "text/html" not in request.headers.get("accept", ""):
        content = {"error": text, "status": status, "code": code, "request": _context(request).request_id}
        return Response(content, status_code=status, headers=dict(headers or {}))
    shown = {"status": status, "title": title, "message": text, "phrase": _phrase(status)}
    return page(request, "shell/error.html", status_code=status, headers=headers, **shown)


def _toast(request: AnyRequest, status: int, text: str, headers: Mapping[str, str] | None) -> Response[Any]:
    """A toast for htmx, which leaves the page as it is: nothing typed is lost."""
    context = _context(request)
    context.toasts = [Toast(text=text, kind="danger" if status >= 500 else "warning")]
    return Response(None, status_code=status, headers={**(headers or {}), "HX-Reswap": "none"})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""

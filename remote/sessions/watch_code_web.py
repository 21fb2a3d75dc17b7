"""``/w``: where the code that a machine's banner shows leads to the session that it lets watch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, get, post
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.errors import AppError, NotFound, TooMany
from compagnon.web import Form, page, redirect
from remote import wire
from remote.sessions.watch_web import HEADERS, PUBLIC
from remote.sessions.watching import SECRET, Watching

AnyRequest = Request[Any, Any, Any]


def handlers() -> Sequence[ControllerRouterHandler]:
    return [code_page, find_code]


@get("/w", opt=PUBLIC)
async def code_page(request: AnyRequest) -> Template:
    """A place for the code; one in the address's fragment is taken from there."""
    return page(request, "remote/watch_code.html", form=Form(), headers=HEADERS)


@post("/w", opt={**PUBLIC, "csrf": False}, status_code=200)
async def find_code(request: AnyRequest, form: Form, watching: Watching) -> Template | Redirect:
    """Lead to the session. Nothing is changed and nobody is known here, so another site gains nothing by asking."""
    code = form.text("code", limit=SECRET)
    if not form.ok:
        return page(request, "remote/watch_code.html", form=form, status_code=422, headers=HEADERS)
    try:
        return redirect(await watching.find(code, wire.address(request.scope)))
    except (NotFound, TooMany) as error:
        return _refused(request, form, error)


def _refused(request: AnyRequest, form: Form, error: AppError) -> Template:
    form.refuse("code", error.message, **error.params)
    return page(request, "remote/watch_code.html", form=form, status_code=error.status, headers=HEADERS)

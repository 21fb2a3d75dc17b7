"""Keeping a search under a name, renaming it, deleting it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.errors import Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import redirect, toast
from kb.saved.model import MAX_QUERY
from kb.saved.service import SavedSearches
from kb.search.asking import read

AnyRequest = Request[Any, Any, Any]


@post("/search/saved")
async def save(request: AnyRequest, member: Member, form: Form, saved: SavedSearches) -> Redirect:
    """Keep a search with its filters under a name of the member's own."""
    asked = read(parse_qsl(form.value("query")[: 4 * MAX_QUERY]))
    query = asked.query if asked.text.strip() else ""
    name = form.text("name", limit=200, required=False)
    try:
        form.check()
        await saved.save(member, name, query)
    except Invalid as error:
        toast(request, error.message, kind="warning", **error.params)
    else:
        toast(request, N_("Kept: it is listed on the search page and in the commands (Ctrl K)."))
    return redirect(asked.url)


@post("/search/saved/{saved_id:int}/rename")
async def rename(
    request: AnyRequest, saved_id: FromPath[int], member: Member, form: Form, saved: SavedSearches
) -> Redirect:
    """Give one of the member's own saved searches another name."""
    name = form.text("name", limit=200, required=False)
    try:
        form.check()
        await saved.rename(member, _id(saved_id), name)
    except Invalid as error:
        toast(request, error.message, kind="warning", **error.params)
    else:
        toast(request, N_("Saved."))
    return redirect("/search")


@post("/search/saved/{saved_id:int}/delete")
async def delete(request: AnyRequest, saved_id: FromPath[int], member: Member, saved: SavedSearches) -> Redirect:
    """Delete one of the member's own saved searches."""
    await saved.delete(member, _id(saved_id))
    toast(request, N_("Deleted."))
    return redirect("/search")


def _id(raw: int) -> int:
    """Beyond a bigint there is none: 0 is nobody's."""
    return raw if 0 < raw < 2**63 else 0


HANDLERS: Sequence[ControllerRouterHandler] = (save, rename, delete)

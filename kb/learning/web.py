"""What searchers do with what they find, their own history, and the questions nothing answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, get, post
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member, Role
from compagnon.errors import NotFound
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.guards import requires
from compagnon.web.render import page, redirect, toast
from kb.learning.service import Learning
from kb.search.asking import Asked, read
from kb.search.service import Search

AnyRequest = Request[Any, Any, Any]
MANY_RESULTS = 10_000_000
MAX_QUESTION = 4_000


@post("/search/opened", status_code=204)
async def opened(member: Member, form: Form, search: Search, learning: Learning) -> None:
    """A library hit was opened (sent by the page's script, so that its link stays a plain link)."""
    kind, id = _document(form)
    if await search.has(kind, id):  # nothing is learned, nor sent to the index, about what there is not
        results = form.optional_integer("results", minimum=0, maximum=MANY_RESULTS)
        await learning.opened(member, form.value("q")[:MAX_QUESTION], kind, id, results=results)


@post("/search/asked", status_code=204)
async def asked(member: Member, form: Form, learning: Learning) -> None:
    """A question that was typed and left standing for a while (sent by the page's script)."""
    results = form.optional_integer("results", minimum=0, maximum=MANY_RESULTS)
    await learning.asked(member, form.value("q")[:MAX_QUESTION], results)


@post("/search/confirmed")
async def confirmed(request: AnyRequest, member: Member, form: Form, search: Search, learning: Learning) -> Redirect:
    """The document answered the question (“this was it”); back to the results."""
    kind, id = _document(form)
    if not await search.has(kind, id):
        raise NotFound(N_("There is no such document."))
    back = _back(form)
    if await learning.confirmed(member, back.text, kind, id):
        toast(request, N_("Thank you: whoever asks this next finds it sooner."))
    return redirect(back.url)


@post("/search/recent/clear")
async def clear(request: AnyRequest, member: Member, form: Form, learning: Learning) -> Redirect:
    """Forget the member's own questions, or with `q` only this one."""
    text = form.value("q")[:MAX_QUESTION] or None
    await learning.clear(member, text)
    toast(request, N_("Forgotten."))
    return redirect("/search")


@get("/search/misses", guards=[requires(Role.REVIEWER)])
async def misses(request: AnyRequest, learning: Learning) -> Template:
    """Asked and not found: the questions without an answer, the most frequent first, without who asked."""
    return page(request, "kb/misses.html", misses=await learning.misses())


@post("/search/misses/done", guards=[requires(Role.REVIEWER)])
async def miss_done(request: AnyRequest, member: Member, form: Form, learning: Learning) -> Redirect:
    """Take a question off the list; asked again, it comes back."""
    await learning.miss_done(member, form.value("norm"))
    toast(request, N_("Taken off the list."))
    return redirect("/search/misses")


def _document(form: Form) -> tuple[str, str]:
    kind, _, id = form.value("document")[:300].partition(":")
    return kind, id


def _back(form: Form) -> Asked:
    """The search that the form came from, read as any address is: it cannot lead anywhere else."""
    return read(parse_qsl(form.value("query")[:MAX_QUESTION], max_num_fields=None))


HANDLERS: Sequence[ControllerRouterHandler] = (opened, asked, confirmed, clear, misses, miss_done)

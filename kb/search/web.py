"""The search page, its previews, and what the global search box and the command palette ask while someone types."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import parse_qsl

from litestar import Request, Response, get
from litestar.background_tasks import BackgroundTask
from litestar.params import FromPath, Parameter
from litestar.response import Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.i18n.catalogues import set_locale
from compagnon.web import context as contexts
from compagnon.web.render import fragment, is_htmx, page, rendered_panels
from kb.learning.model import RETENTION
from kb.learning.service import Learning
from kb.saved.service import SavedSearches
from kb.search import shown, typed, words
from kb.search.asking import DEEPEST, MAX_ADDRESS, PER_PAGE, TOO_DEEP, Asked, read
from kb.search.highlight import snippet_html
from kb.search.model import MAX_QUERY_CHARACTERS, Filters, IndexPhase, Page, Progress, Reason
from kb.search.pacing import Pace
from kb.search.question import ask, clean
from kb.search.service import Search
from kb.search.syntax import unclosed

AnyRequest = Request[Any, Any, Any]
MORE = "kb-more"  # the part of the page that further results replace
OWN_SITE = frozenset({None, "same-origin", "none"})


@get("/search")
async def search_page(
    request: AnyRequest, member: Member, search: Search, learning: Learning, saved: SavedSearches, search_pace: Pace
) -> Template:
    """All that is found for `q`; `kind`, `environment`, `os`, `skill`, `locale`, `state` (repeatable) narrow it."""
    asked = read(_fields(request))
    if request.headers.get("x-typing") != "1":
        asked = replace(asked, notices=(*asked.notices, *unclosed(asked.text)))
    if not clean(asked.text):
        context = await _context(search, learning, asked, Page())
        own = {"saved": await saved.of(member), "recent": await learning.recent(member), "keep_days": RETENTION.days}
        return page(request, "kb/search.html", shown="", **{**context, **own})
    async with search_pace.turn(member.id):
        found = Page() if asked.deep else await _found(search, member, asked)
    answer = _answer(request, asked, await _context(search, learning, asked, found))
    if _counts(request, asked):
        narrowed = asked.chosen or ask(asked.text).filters != Filters()
        answer.background = BackgroundTask(learning.asked, member, asked.text, None if narrowed else found.count)
    return answer


def _fields(request: AnyRequest) -> list[tuple[str, str]]:
    """The address's fields in their order: Litestar gives them in any, and only the first ones are read."""
    return parse_qsl(request.scope["query_string"][:MAX_ADDRESS].decode("latin-1"), keep_blank_values=True)


async def _found(search: Search, member: Member, asked: Asked) -> Page:
    first = (asked.page - 1) * PER_PAGE
    found = await search.page(
        member, asked.text, filters=asked.filters, first=first, limit=asked.limit, typing=True, exact=asked.exact
    )
    return shown.settled(ask(asked.text), found)


def _answer(request: AnyRequest, asked: Asked, context: dict[str, Any]) -> Template:
    status = 422 if asked.deep else 200
    if is_htmx(request) and request.headers.get("hx-target") == MORE:
        return fragment(request, "kb/further.html", status_code=status, **context)
    if is_htmx(request):
        return fragment(request, "kb/results.html", status_code=status, **context)
    text = clean(asked.text)[:MAX_QUERY_CHARACTERS]
    return page(request, "kb/search.html", status_code=status, shown=text, saved=(), recent=(), **context)


def _counts(request: AnyRequest, asked: Asked) -> bool:
    """Whether this is a question to remember: not one half typed, a further page, or another site's doing."""
    half = request.headers.get("x-typing") == "1"
    return not half and not asked.deep and asked.page == 1 and request.headers.get("sec-fetch-site") in OWN_SITE


async def _context(search: Search, learning: Learning, asked: Asked, found: Page) -> dict[str, Any]:
    kinds = {group.kind: (group.label, group.icon) for group in search.kinds()}
    question = ask(asked.text)
    asked = replace(asked, text=question.text)
    environments = asked.chosen.get("environment", ())
    environment = environments[0] if len(environments) == 1 else None
    deep = (Reason(message=TOO_DEEP, params={"limit": str(DEEPEST * PER_PAGE)}),) if asked.deep else ()
    return {
        "asked": asked,
        "library": found.library,
        "records": found.records,
        "records_first": [group for group in found.records if shown.named(question, group)],
        "records_after": [group for group in found.records if not shown.named(question, group)],
        "count": found.count,
        "notices": (*asked.notices, *deep, *found.notices),
        "corrected": found.library.corrected,
        "signals": await learning.signals([hit.key for hit in found.library.hits], environment=environment),
        "chosen": shown.chosen(asked, kinds),
        "facets": shown.facets(asked, found, kinds),
        "fallbacks": [] if found.count else shown.fallbacks(question, asked),
        "first": (asked.page - 1) * PER_PAGE,
        "more": _more(asked, found),
        "deepest": DEEPEST,
        "per_page": PER_PAGE,
        "shelves": kinds,
        "states": words.STATES,
        "languages": words.LANGUAGES,
        "singular": words.SINGULAR,
        "examples": typed.EXAMPLES,
        "previews": search.previews,
        "day": words.day,
        "snippet_html": snippet_html,
        "index": Progress(phase=IndexPhase.READY) if found.library.hits else await search.progress(),
    }


def _more(asked: Asked, found: Page) -> bool:
    """Whether there is more than is shown up to this page; of records this is only known by a full page."""
    if found.library.hits:
        return len(found.library.hits) == PER_PAGE and found.library.total > asked.limit
    return bool(asked.kind) and any(len(group.hits) == PER_PAGE for group in found.records)


@get("/search/preview/{kind:str}/{document_id:str}")
async def preview(
    request: AnyRequest, kind: FromPath[str], document_id: FromPath[str], member: Member, search: Search
) -> Template:
    """What a result holds, in short, for the pane beside the list; nothing of what the member may not read."""
    panel = await search.previews.show(member, kind, document_id)
    set_locale(contexts.need(request.scope).locale)
    rendered = rendered_panels(request, [panel])[0] if panel else ""
    status = 200 if panel else 404
    return fragment(request, "kb/preview.html", status_code=status, shown=rendered, kind=kind, id=document_id)


@get("/search/suggest")
async def search_suggest(
    request: AnyRequest,
    member: Member,
    search: Search,
    saved: SavedSearches,
    search_pace: Pace,
    limit: Annotated[int, Parameter(ge=1, le=10)] = typed.LIMIT,
) -> Response[Any] | Template:
    """What is found while someone types: JSON, or the same as a list for htmx (see docs/explanation/search.md)."""
    q = read(_fields(request)).text
    async with search_pace.turn(member.id):
        found, kept = await asyncio.gather(search.answer(member, q, limit, typing=True), saved.of(member))
    answer = replace(found, groups=shown.typed_groups(ask(q), found, search.in_library))
    if is_htmx(request):
        return fragment(request, "kb/suggestions.html", answer=answer, snippet_html=snippet_html, q=q)
    set_locale(contexts.need(request.scope).locale)
    own = typed.fitting(kept, q)
    return Response(
        typed.as_json(answer, q, own, search.in_library),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


HANDLERS: Sequence[ControllerRouterHandler] = (search_page, search_suggest, preview)

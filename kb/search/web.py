"""The search page, and what the global search box and the command palette ask while someone types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import Parameter
from litestar.response import Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.i18n import N_, gettext
from compagnon.i18n.catalogues import set_locale
from compagnon.web import context as contexts
from compagnon.web.render import fragment, is_htmx, page
from kb.search.highlight import snippet_html
from kb.search.model import Answer, Filters, Group, Hit, Reason
from kb.search.question import Question, ask
from kb.search.service import Search

AnyRequest = Request[Any, Any, Any]
# Longer questions are cut with a notice, not refused; the bound only keeps the address itself reasonable.
Asked = Annotated[str, Parameter(max_length=4_000)]
Code = Annotated[str, Parameter(max_length=100)]
PER_GROUP = 6
PER_KIND = 50
TYPED_LIMIT = 4  # hits of a group while typing
SINGLE_WORDS = 4  # words offered one by one when nothing was found


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Another question that may find something. ``label`` is a msgid whose ``{words}`` is ``words``."""

    label: str
    words: str
    url: str


@get("/search")
async def search_page(
    request: AnyRequest,
    member: Member,
    search: Search,
    q: Asked = "",
    kind: Code = "",
    environment: Code = "",
    skill: Code = "",
) -> Template:
    """All that is found for ``q``; ``kind``, ``environment`` and ``skill`` narrow it."""
    filters = Filters(environments=(environment,) if environment else (), skills=(skill,) if skill else ())
    limit = PER_KIND if kind else PER_GROUP
    answer = await search.answer(member, q, limit, kind=kind, filters=filters, typing=True)
    chosen = {"kind": kind, "environment": environment, "skill": skill}
    context: dict[str, Any] = {
        "asked": ask(q),
        "answer": answer,
        "chosen": chosen,
        "kinds": search.kinds(),
        "link": _Linker(q, chosen),
        "fallbacks": [] if answer.groups else fallbacks(ask(q), chosen),
        "snippet_html": snippet_html,
        "index": await search.progress(),
    }
    if is_htmx(request):
        return fragment(request, "kb/results.html", **context)
    return page(request, "kb/search.html", **context)


@get("/search/suggest")
async def search_suggest(
    request: AnyRequest,
    member: Member,
    search: Search,
    q: Asked = "",
    limit: Annotated[int, Parameter(ge=1, le=10)] = TYPED_LIMIT,
) -> Response[Any] | Template:
    """What is found while someone types: JSON, or the same as a list for htmx (see docs/explanation/search.md)."""
    answer = await search.answer(member, q, limit, typing=True)
    if is_htmx(request):
        return fragment(request, "kb/suggestions.html", answer=answer, snippet_html=snippet_html, q=q)
    set_locale(contexts.need(request.scope).locale)
    return Response(as_json(answer, q), media_type="application/json", headers={"Cache-Control": "no-store"})


def as_json(answer: Answer, q: str) -> dict[str, Any]:
    """The answer for scripts. ``snippet_html`` is safe HTML (text and ``<mark>``); everything else is plain text."""
    return {
        "q": q,
        "groups": [_group_json(group) for group in answer.groups],
        "notices": [say(notice) for notice in answer.notices],
        "more": f"/search?{urlencode({'q': q})}",
    }


def _group_json(group: Group) -> dict[str, Any]:
    hits = [_hit_json(hit) for hit in group.hits]
    return {"kind": group.kind, "label": gettext(group.label), "icon": group.icon, "hits": hits}


def _hit_json(hit: Hit) -> dict[str, Any]:
    return {
        "title": hit.title,
        "url": hit.url,
        "snippet_html": str(snippet_html(hit.snippet)),
        "badges": list(hit.badges),
        "why": [say(reason) for reason in hit.why],
    }


def say(reason: Reason) -> str:
    """A reason or notice in the language of the page, as plain text."""
    return gettext(reason.message, **reason.params)


def fallbacks(question: Question, chosen: Mapping[str, str]) -> list[Fallback]:
    """What to try when nothing was found: without filters, without quotes, then each word by itself."""
    found = []
    if any(chosen.values()):
        found.append(
            Fallback(label=N_("Search everything for “{words}”"), words=question.text, url=_url(question.text))
        )
    if question.phrases:
        loose = " ".join(question.text.translate(str.maketrans('«»“”"', "     ")).split())
        found.append(Fallback(label=N_("Search the words in any order: “{words}”"), words=loose, url=_url(loose)))
    return [*found, *_single_words(question, N_("Search only “{words}”"))]


def _single_words(question: Question, label: str) -> Sequence[Fallback]:
    kept = [word.text for word in question.words if not word.stop and word.inside < 0 and len(word.text) > 2]
    words = sorted(dict.fromkeys(kept), key=len, reverse=True)[:SINGLE_WORDS] if len(kept) > 1 else []
    return [Fallback(label=label, words=word, url=_url(word)) for word in words]


def _url(q: str, **chosen: str) -> str:
    return "/search?" + urlencode({"q": q, **{name: value for name, value in chosen.items() if value}})


class _Linker:
    """``link(kind="ticket")``: the address of this page with one choice changed."""

    def __init__(self, q: str, chosen: Mapping[str, str]) -> None:
        self._q = q
        self._chosen = chosen

    def __call__(self, **changed: str) -> str:
        return _url(self._q, **{**self._chosen, **changed})


HANDLERS: Sequence[ControllerRouterHandler] = (search_page, search_suggest)

"""The answer to what is being typed, for scripts, and the examples of the help card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from compagnon.i18n import N_, gettext
from kb.saved.model import SavedSearch
from kb.search import syntax
from kb.search.analysis import fold
from kb.search.highlight import snippet_html
from kb.search.model import MAX_QUERY_CHARACTERS, Answer, Group, Hit, Reason

LIMIT = 4  # hits of a group
SAVED = 6  # saved searches offered


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Something to type, and what it does (a msgid)."""

    text: str
    meaning: str


EXAMPLES = (
    Example(text="rien ne s'imprime", meaning=N_("words in any order; accents and endings do not matter")),
    Example(text="0x80070005", meaning=N_("an error code, a command, a path: as it stands on the screen")),
    Example(text='"impression double"', meaning=N_("these words side by side")),
    Example(text="imprim*", meaning=N_("what begins so")),
    *(Example(text=text, meaning=meaning) for text, meaning in syntax.HELP),
)


def fitting(saved: Sequence[SavedSearch], q: str) -> list[SavedSearch]:
    """The saved searches whose name holds what is typed; all of them while nothing is."""
    sought = fold(q.strip().lower())
    return [one for one in saved if sought in fold(one.name.lower())][:SAVED]


def as_json(answer: Answer, q: str, saved: Sequence[SavedSearch], in_library: Callable[[str], bool]) -> dict[str, Any]:
    """The answer for scripts. ``snippet_html`` is safe HTML (text and ``<mark>``); everything else is plain text.

    A hit of the library has a ``document``: what to send to ``/search/opened`` when it is opened.
    """
    groups = [_group_json(group, in_library(group.kind)) for group in answer.groups]
    own = [{"title": one.name, "url": one.url, "snippet_html": "", "badges": [], "why": []} for one in saved]
    if own:
        groups.insert(0, {"kind": "saved", "label": gettext(N_("Saved searches")), "icon": "bookmark", "hits": own})
    return {
        "q": q[:MAX_QUERY_CHARACTERS],
        "groups": groups,
        "notices": [say(notice) for notice in answer.notices],
        "more": f"/search?{urlencode({'q': q[:MAX_QUERY_CHARACTERS]})}",
    }


def _group_json(group: Group, learned: bool) -> dict[str, Any]:
    hits = [_hit_json(hit, learned) for hit in group.hits]
    return {"kind": group.kind, "label": gettext(group.label), "icon": group.icon, "hits": hits}


def _hit_json(hit: Hit, learned: bool) -> dict[str, Any]:
    shown = {
        "title": hit.title,
        "url": hit.url,
        "snippet_html": str(snippet_html(hit.snippet)),
        "badges": list(hit.badges),
        "why": [say(reason) for reason in hit.why],
    }
    return {**shown, "document": hit.key} if learned else shown


def say(reason: Reason) -> str:
    """A reason or notice in the language of the page, as plain text."""
    return gettext(reason.message, **reason.params)

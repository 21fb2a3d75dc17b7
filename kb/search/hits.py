"""From ranked documents to what a person sees of them: snippet, badges, and why each was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from compagnon.i18n import N_
from kb.search import analysis
from kb.search.engine import Ranked
from kb.search.highlight import Highlighter
from kb.search.model import Boost, Hit, Reason
from kb.search.question import Question
from kb.search.stopwords import STOP_WORDS

WORDS = N_("Holds: {words}")
MEANT = N_("“{found}” means the same as “{asked}”")
WORDS_SHOWN = 4
# Found in too much to say why a document was.
SAY_NOTHING = frozenset().union(*STOP_WORDS.values(), ("rien", "nothing", "depuis", "since"))


def hits(
    question: Question, ranked: Sequence[Ranked], boosts: Mapping[str, Boost], *, environment: str | None = None
) -> tuple[Hit, ...]:
    """``boosts``: evidence by document key, with or without the language."""
    highlighter = Highlighter(question)
    return tuple(_hit(item, highlighter, boosts, environment) for item in ranked)


def _hit(item: Ranked, highlighter: Highlighter, boosts: Mapping[str, Boost], environment: str | None) -> Hit:
    document = item.document
    return Hit(
        kind=document.kind,
        id=document.id,
        title=document.title,
        url=document.url,
        snippet=highlighter.snippet(document),
        score=item.score,
        why=_why(item, boosts, environment),
        badges=document.environments,
        locale=document.locale,
        state=document.state,
        reviewed=document.reviewed,
    )


def _why(item: Ranked, boosts: Mapping[str, Boost], environment: str | None) -> tuple[Reason, ...]:
    document = item.document
    why = [_evidence(boost) for key in (document.key, document.family) if (boost := boosts.get(key))]
    if words := telling_words(item.matched):
        why.append(Reason(message=WORDS, params={"words": ", ".join(words)}))
    for asked, found in item.meant[:WORDS_SHOWN]:
        why.append(Reason(message=MEANT, params={"asked": asked, "found": found}))
    if environment and environment in document.environments:
        why.append(Reason(message=N_("Written for {environment}"), params={"environment": environment}))
    return tuple(dict.fromkeys(why))


def telling_words(matched: Iterable[str]) -> list[str]:
    """The words that say why: each once whatever its capitals and accents, no stop words, the first few."""
    told = {analysis.fold(word): word for word in reversed(list(matched))}
    return [word for key, word in reversed(told.items()) if key not in SAY_NOTHING][:WORDS_SHOWN]


def _evidence(boost: Boost) -> Reason:
    return boost.reason if isinstance(boost.reason, Reason) else Reason(message="{text}", params={"text": boost.reason})

"""Suggestions for a symptom that is typed, and for an error that a machine printed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from kb.articles.plain import plain
from kb.articles.service import Articles
from kb.search import error_text
from kb.search.library import as_asked
from kb.search.model import Boost, Filters, Hit
from kb.search.service import Search
from kb.suggestions.model import ARTICLE, PROCEDURE, ForError, Suggestion, Suggestions, about

SHORT = 250  # characters of prose that are asked: the newest words of a long text say most
MAX_TEXT = 20_000  # characters looked at
MINIMUM = 3  # characters; fewer are no question
FOREIGN = 0.5  # of its score, for an article in another language than the reader's
FAR_BEHIND = 0.3  # of the best article's score: what is worth less is left out
SHARED = 2  # telling words that related documents share at least
WORKAROUND = 300  # characters shown
_QUOTES = str.maketrans(dict.fromkeys('"«»“”', " "))


class Suggesting:
    """One way to suggest for every page: what differs is only where the text comes from."""

    def __init__(self, search: Search, articles: Articles) -> None:
        self._search = search
        self._articles = articles

    async def for_text(
        self,
        text: str,
        *,
        environment: str | None = None,
        locale: str | None = None,
        boosts: Mapping[str, Boost] | None = None,
        procedures: int = 3,
        articles: int = 3,
    ) -> Suggestions:
        """For what a person types: their newest words, or what an error that they pasted says of itself.

        ``boosts`` is evidence about procedures: with it they are suggested even without a word.
        """
        asked = _question(text[-MAX_TEXT:])
        return await self._ask(asked, environment, locale, boosts or {}, procedures, articles)

    async def for_error(
        self,
        output: str,
        *,
        title: str = "",
        environment: str | None = None,
        locale: str | None = None,
        procedures: int = 2,
        articles: int = 3,
        without: Collection[str] = (),
    ) -> ForError:
        """For what a machine printed (see ``kb.search.error_text``); ``without``: codes of procedures known already."""
        asked = error_text.read(output, title=title)
        found = await self._ask(
            asked.question, environment, locale, {}, 2 * procedures + len(without), 2 * articles, printed=True
        )
        best = max((one.hit.score for one in found.items), default=0.0)
        cures = [one for one in found.procedures if one.hit.score >= FAR_BEHIND * best and about(asked, one)]
        others = [one for one in cures if one.procedure not in without][:procedures]
        texts = [one for one in found.articles if about(asked, one)][:articles]
        return ForError(asked=asked, found=Suggestions(procedures=others, articles=texts))

    async def mentioning(
        self, name: str, about: str, *, environment: str | None = None, locale: str | None = None, limit: int = 2
    ) -> Sequence[Suggestion]:
        """Articles that hold ``name`` (a service, a file) as it is written, the nearest to ``about`` first."""
        named = " ".join(name.translate(_QUOTES).split())[:100]
        asked = f'"{named}" {error_text.read(about).question}'
        found = await self._search.find(
            asked, filters=Filters(kinds=(ARTICLE,)), limit=2 * limit, environment=environment, exact=True
        )
        if not named or not as_asked(found):
            return ()
        return await self._with_workarounds(_in_language(found.hits, locale)[:limit])

    async def related(self, kind: str, id: str | int, *, limit: int = 4) -> Sequence[Suggestion]:
        """Documents about the same things. The words that they share are stems, which tell a person nothing."""
        found = await self._search.related(kind, id, limit)
        near = [hit for hit in found if len(Suggestion(hit=hit).words) >= SHARED]
        return await self._with_workarounds([replace(hit, why=()) for hit in near])

    async def _ask(
        self,
        asked: str,
        environment: str | None,
        locale: str | None,
        boosts: Mapping[str, Boost],
        procedures: int,
        articles: int,
        *,
        printed: bool = False,
    ) -> Suggestions:
        enough = len(asked) >= MINIMUM
        if not enough and not boosts:
            return Suggestions()

        async def of(kind: str, limit: int) -> Sequence[Hit]:
            return await self._search.suggest(
                asked,
                environment=environment,
                locale=locale,
                boosts=boosts if kind == PROCEDURE else None,
                limit=limit,
                kinds=(kind,),
                printed=printed,
            )

        cures, texts = await asyncio.gather(of(PROCEDURE, procedures), of(ARTICLE, 2 * articles))
        best = max((hit.score for hit in texts), default=0.0)
        near = [hit for hit in _in_language(texts, locale) if enough and hit.score >= FAR_BEHIND * best][:articles]
        return Suggestions(
            procedures=tuple(Suggestion(hit=hit) for hit in cures), articles=await self._with_workarounds(near)
        )

    async def _with_workarounds(self, hits: Sequence[Hit]) -> Sequence[Suggestion]:
        return [Suggestion(hit=hit, workaround=await self._workaround(hit)) for hit in hits]

    async def _workaround(self, hit: Hit) -> str:
        if hit.kind != ARTICLE or hit.state != "known-error" or not hit.id.isdigit():
            return ""
        version = await self._articles.published(int(hit.id))
        text = " ".join(plain(version.workaround).split()) if version else ""
        return text if len(text) <= WORKAROUND else text[:WORKAROUND].rsplit(" ", 1)[0] + "…"


def _in_language(hits: Sequence[Hit], locale: str | None) -> list[Hit]:
    """A text that its reader reads well is worth more than one in another language, which may be its translation."""
    return sorted(hits, key=lambda hit: -hit.score * (1.0 if locale in {None, hit.locale} else FOREIGN))


def _question(text: str) -> str:
    """An error that was pasted is read as one; prose is asked as it is, by its end."""
    read = error_text.read(text)
    if (read.codes or read.names) and len(text) > SHORT:
        return read.question
    return " ".join(text.replace("\x00", "").split())[-SHORT:]

"""What a group of synonyms would change: how many documents more each of its words would find."""

from __future__ import annotations

from collections.abc import Sequence

from kb.search.library import as_asked
from kb.search.model import MAX_LIMIT, Filters
from kb.search.service import Search
from kb.synonyms.model import Effect, Wording

_QUOTES = str.maketrans(dict.fromkeys('"«»“”', " "))


class Preview:
    def __init__(self, search: Search) -> None:
        self._search = search

    async def effects(self, wording: Wording) -> Sequence[Effect]:
        """Asks the library for each word by itself, in the documents of the group's language; each counts once."""
        filters = Filters(locales=(wording.locale,) if wording.locale else ())
        found = {word: await self._found(word, filters) for word in wording.words}
        every = frozenset().union(*(keys for keys, _ in found.values()))
        more = any(total > len(keys) for keys, total in found.values())
        return [
            Effect(word=word, found=total, added=len(every - keys), more=more) for word, (keys, total) in found.items()
        ]

    async def _found(self, word: str, filters: Filters) -> tuple[frozenset[str], int]:
        """The documents that hold the word, or the phrase side by side (the first hundred), and how many there are."""
        found = await self._search.find(f'"{word.translate(_QUOTES)}"', filters=filters, limit=MAX_LIMIT, exact=True)
        if not as_asked(found):
            return frozenset(), 0
        return frozenset(hit.key for hit in found.hits), found.total

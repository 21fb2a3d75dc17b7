"""Keeps the words by which tickets are found up to date with the analysis that questions are read with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from compagnon.db import Database
from compagnon.jobs import Jobs
from kb.search.analysis import VERSION
from kb.search.records import tsvector_text
from tickets.listing import words_store as store
from tickets.listing.words_store import Text

BATCH = 50  # tickets of one transaction: nobody who writes in one of them waits for long


class TicketWords:
    """A ticket's words are written in the transaction of each change; here all of them are read again.

    That is due once the analysis changes (every ticket, in the background, while the others are found), and for a
    ticket whose title was changed: the words of its old one go.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def register(self, jobs: Jobs) -> None:
        @jobs.periodic("tickets.index_words", cron="*/5 * * * *")
        async def index_words(timestamp: int) -> None:
            await self.index_old()

    async def index_old(self) -> int:
        """All tickets whose words are of another version, a few at a time; how many. May run twice at the same time."""
        done = 0
        while count := await self._index_some():
            done += count
        return done

    async def _index_some(self) -> int:
        async with self._db.transaction() as conn:
            texts = await store.other_version(conn, VERSION, BATCH)
            for text, (own, said) in zip(texts, await asyncio.to_thread(_words, texts), strict=True):
                await store.index(conn, text.id, own=own, said=said, version=VERSION)
        return len(texts)


def _words(texts: Sequence[Text]) -> list[tuple[str, str]]:
    return [(tsvector_text(text.title, text.own), tsvector_text("", text.said)) for text in texts]

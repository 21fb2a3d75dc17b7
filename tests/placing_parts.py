"""What tests of suggestions share: documents of any kind without their packages, and an index that holds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from kb.search.model import Document, IndexPhase


class Shelf:
    """A library source of given documents."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents

    async def documents(self) -> AsyncIterator[Document]:
        for document in self._documents:
            yield document

    async def document(self, id: str) -> Document | None:
        return next((document for document in self._documents if document.id == id), None)


async def index_ready(services: Any) -> None:
    for _ in range(400):
        if (await services.kb.search.progress()).phase == IndexPhase.READY:
            return
        await asyncio.sleep(0.025)
    raise AssertionError("the index was not built")


async def put_on_shelf(services: Any, kind: str, documents: Sequence[Document]) -> None:
    """Let the library hold these documents of ``kind`` (and no others of it)."""
    await index_ready(services)
    services.kb.search.library_source(kind, Shelf(documents))
    await services.kb.search.reindex()
    await index_ready(services)

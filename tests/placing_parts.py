"""What tests of suggestions share: documents of any kind without their packages, and an index that holds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from compagnon.audit import Actor
from kb.articles.model import Content, ImportedArticle
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


async def put_on_shelf(services: Any, kind: str, documents: Sequence[Document], *, worker: bool = True) -> None:
    """Let the library hold these documents of ``kind`` (and no others of it). ``worker``: a server is running."""
    if worker:
        await index_ready(services)
    services.kb.search.library_source(kind, Shelf(documents))
    await services.kb.search.reindex()


def article(id: str, title: str, body: str = "", **more: Any) -> Document:
    return Document(kind="article", id=id, title=title, url=f"/articles/{id}", body=body, **more)


def procedure(code: str, title: str, body: str = "", **more: Any) -> Document:
    url = f"/procedures/{code}?lang=fr"
    return Document(kind="procedure", id=f"{code}.fr", title=title, url=url, body=body, **more)


async def known_error(services: Any, *, title: str, condition: str, workaround: str) -> int:
    """A real article in force that names a workaround; its id."""
    content = Content(
        title=title,
        condition=condition,
        known_error=True,
        workaround=workaround,
        licence="CC0",
        source_name="Essais",
        source_url="https://example.org/1",
    )
    handed = ImportedArticle(source="essais", source_id=title, digest=title, locale="fr", content=content)
    return int((await services.kb.articles.put_imported(handed, actor=Actor.system())).article_id)

"""What the owner of a kind of library document implements."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from kb.search.model import Document


class LibrarySource(Protocol):
    """Reads the documents of one kind from the database, which is the truth; the index is derived from it."""

    def documents(self) -> AsyncIterator[Document]:
        """Every document that members may find now (an ``async def`` with ``yield``). Used to rebuild the index."""
        ...

    async def document(self, id: str) -> Document | None:
        """The document ``id`` as it is now; None when it is gone or no longer to be found."""
        ...

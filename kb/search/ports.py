"""What the search takes from other subjects. Each registers its implementation while the application is wired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from kb.search.model import Boost, SynonymGroup


class Synonyms(Protocol):
    """The list that members maintain."""

    def groups(self) -> Sequence[SynonymGroup]:
        """The groups as published now, at most ``expanding.MAX_GROUPS``. Called for every question: cheap, and the
        same object until something changed.
        """
        ...


class Evidence(Protocol):
    """What is known from the field about documents. Keys are those of ``Document.key`` (``procedure:imp-001.fr``)."""

    async def queries(self, keys: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Past questions that each document answered; asked for up to 1,000 documents at once while indexing."""
        ...

    async def boosts(self, keys: Sequence[str], *, environment: str | None) -> Mapping[str, Boost]:
        """Evidence for some of the documents that were found, up to 100 of them, for a machine of ``environment``."""
        ...

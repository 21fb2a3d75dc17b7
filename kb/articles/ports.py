"""What articles ask of others: of the layers above through ``compagnon.app.wiring``, of what searches teach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from compagnon.auth.model import Member


class Procedures(Protocol):
    async def titles(self, codes: Sequence[str], locale: str) -> Mapping[str, str]:
        """Titles of procedures in force by code."""
        ...

    async def environments_in_force(self) -> Mapping[str, datetime]:
        """Codes of the standard environments in force, and since when their present version is."""
        ...


class Lessons(Protocol):
    async def feedback(self, member: Member, kind: str, id: str, *, solved: bool) -> None:
        """Hear, once it is kept, that a document helped or did not: of the question that led the member there."""
        ...

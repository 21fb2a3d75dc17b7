"""What articles ask of the layers above them; ``compagnon.app.wiring`` says who answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from compagnon.db import Connection


class Procedures(Protocol):
    async def titles(self, codes: Sequence[str], locale: str) -> Mapping[str, str]:
        """Titles of procedures in force by code."""
        ...

    async def environments_in_force(self) -> Mapping[str, datetime]:
        """Codes of the standard environments in force, and since when their present version is."""
        ...


class Outcomes(Protocol):
    async def article_feedback(
        self, conn: Connection, article_id: int, *, member_id: int, ticket_id: int | None, solved: bool
    ) -> None:
        """Hear, in the transaction in which it is kept, that an article helped or did not."""
        ...

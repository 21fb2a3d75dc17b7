"""Searches that a member keeps under a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_NAME = 80
MAX_QUERY = 1_000
MAX_SAVED = 50  # of one member


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSearch:
    """``query`` is the search page's address after the question mark: the words and the filters."""

    id: int
    name: str
    query: str
    created_at: datetime

    @property
    def url(self) -> str:
        return f"/search?{self.query}"

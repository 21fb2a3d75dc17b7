"""Versions of procedures, their review, and the rules of both. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
CODE_LIMIT = 64
RESERVED = frozenset({"new", "reviews", "drafts", "preview", "lint"})  # words of our own addresses
LOCALES = ("fr", "en")
TEXT_LIMIT = 256 * 1024  # bytes of UTF-8
REASON_LIMIT = 2000  # characters
COMMENT_LIMIT = 5000  # characters
APPROVALS = 2
PAGE = 50


class VersionState(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    DISCARDED = "discarded"


OPEN = (VersionState.DRAFT, VersionState.IN_REVIEW)

TRANSITIONS: Mapping[VersionState, frozenset[VersionState]] = {
    VersionState.DRAFT: frozenset({VersionState.IN_REVIEW, VersionState.DISCARDED}),
    VersionState.IN_REVIEW: frozenset({VersionState.DRAFT, VersionState.PUBLISHED, VersionState.DISCARDED}),
    VersionState.PUBLISHED: frozenset({VersionState.SUPERSEDED, VersionState.WITHDRAWN}),
    VersionState.SUPERSEDED: frozenset(),
    VersionState.WITHDRAWN: frozenset(),
    VersionState.DISCARDED: frozenset(),
}
"""What may follow what. An import by the command line publishes a draft at once; nothing else skips the review."""


class Decision(StrEnum):
    APPROVE = "approve"
    CHANGES = "changes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A version without its text. ``number`` is None until it is published."""

    id: int
    document_id: int
    code: str
    locale: str
    number: int | None
    state: VersionState
    digest: str
    title: str
    kind: str
    applies_to: Sequence[str]
    skills: Sequence[str]
    risk: str
    author_id: int
    author_name: str
    editor_id: int
    editor_name: str
    editor_ids: Sequence[int]
    based_on: int | None
    based_on_number: int | None
    reason: str
    evidence: Mapping[str, Any]
    created_at: datetime
    edited_at: datetime
    submitted_at: datetime | None
    published_at: datetime | None
    ended_at: datetime | None
    end_reason: str

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def url(self) -> str:
        """Where it is read: the draft's review page, or the version's own page."""
        if self.number is None:
            return f"/reviews/{self.id}"
        return f"/procedures/{self.code}/versions/{self.number}?lang={self.locale}"

    @property
    def label(self) -> str:
        return f"{self.code}@{self.number}" if self.number is not None else self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Summary):
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    id: int
    version_id: int
    digest: str
    member_id: int
    member_name: str
    reviewer: bool  # has the role now, and is active
    decision: Decision
    comment: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    id: int
    version_id: int
    step_id: str | None
    member_id: int
    member_name: str
    body: str
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the reviews of the current text amount to. Names are the reviewers', in the order of their decisions."""

    approvals: tuple[str, ...]
    objections: tuple[str, ...]

    @property
    def missing(self) -> int:
        return max(0, APPROVALS - len(self.approvals))

    @property
    def settled(self) -> bool:
        """Whether the version may be published."""
        return self.missing == 0 and not self.objections


def verdict(version: Summary, reviews: Sequence[Review]) -> Verdict:
    """Only each reviewer's last word on exactly this text counts, and never the author's or an editor's own."""
    last = {review.member_id: review for review in sorted(reviews, key=lambda review: review.id)}
    counted = [
        review
        for review in last.values()
        if review.digest == version.digest and review.reviewer and independent(version, review.member_id)
    ]
    return Verdict(
        approvals=tuple(review.member_name for review in counted if review.decision == Decision.APPROVE),
        objections=tuple(review.member_name for review in counted if review.decision == Decision.CHANGES),
    )


def independent(version: Summary, member_id: int) -> bool:
    """Whether a member may judge this version: neither its author nor whoever ever changed its text."""
    return member_id != version.author_id and member_id not in version.editor_ids


def is_code(code: str) -> bool:
    return len(code) <= CODE_LIMIT and CODE.fullmatch(code) is not None and code not in RESERVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list shows. ``page`` counts from 1; ``state`` "open" means drafts and versions in review."""

    locale: str
    state: str = "published"
    kind: str = ""
    environment: str = ""
    skill: str = ""
    text: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    value: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Summary):
    """A line of the list. ``languages`` are those in which this procedure is published."""

    languages: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    query: Query
    rows: Sequence[Row]
    total: int
    facets: Mapping[str, Sequence[Facet]] = field(default_factory=dict)

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE))

"""What an article says, its versions, their rules. Words are DITA 1.3's (troubleshooting), ITIL 4's (known error)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

LOCALES = ("fr", "en")
SYSTEMS = ("linux", "windows", "macos")
TITLE_LIMIT = 200  # characters, as every limit of a text here
TEXT_LIMIT = 100_000
SOLUTIONS_LIMIT = 20
CODES_LIMIT = 50  # values of a list
CODE_LENGTH = 100
LICENCE_LIMIT = 200
URL_LIMIT = 500
NOTE_LIMIT = 2_000
REVIEW_EVERY = 12  # months
REVIEW_EVERY_LIMIT = 60
FEW_WORDS = 3  # words about an article from which on they are judged
FOLLOWED_OFTEN = 3  # times it helped, from which on a procedure is worth writing
PAGE = 50
ID_LIMIT = 2**63 - 1


class VersionState(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    DISCARDED = "discarded"


OPEN = (VersionState.DRAFT, VersionState.IN_REVIEW)


class Stale(StrEnum):
    """Why an article in force is to be looked after."""

    DUE = "due"  # its review interval has passed
    ENVIRONMENT = "environment"  # an environment it applies to is out of force, or newer than its last review
    UNHELPFUL = "unhelpful"  # since its last review it mostly did not help
    GONE = "gone"  # no longer at its source
    CHANGED = "changed"  # its source says something else, and members have changed our text


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """One possible cause and what mends it (DITA ``troubleSolution``). Markdown in both; the cause may be unknown."""

    cause: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All that a version says. ``condition`` is what is observed (DITA); texts are Markdown, ``title`` is plain.

    ``applies_to`` are codes of environments, ``procedures`` codes of procedures that do the remedy, ``review_every``
    is in months (1..60). ``licence`` and ``source_name`` are the terms and origin of a text that is not our own.
    """

    title: str
    condition: str = ""
    solutions: Sequence[Solution] = ()
    error_codes: Sequence[str] = ()
    applies_to: Sequence[str] = ()
    os: Sequence[str] = ()
    skills: Sequence[str] = ()
    procedures: Sequence[str] = ()
    known_error: bool = False
    workaround: str = ""
    licence: str = ""
    source_name: str = ""
    source_url: str = ""
    review_every: int = REVIEW_EVERY

    def __post_init__(self) -> None:  # rows come from PostgreSQL as lists and JSON
        object.__setattr__(self, "solutions", tuple(map(_solution, self.solutions)))
        for name in LISTS:
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def content(self) -> Content:
        """These values alone, without what a subclass adds."""
        return Content(**{one.name: getattr(self, one.name) for one in fields(Content)})


LISTS = ("error_codes", "applies_to", "os", "skills", "procedures")


def _solution(value: Solution | Mapping[str, str]) -> Solution:
    return value if isinstance(value, Solution) else Solution(**value)


def columns(content: Content) -> dict[str, Any]:
    """The content as plain values: lists, dicts, strings."""
    values = asdict(content.content)
    return {**values, **{name: list(values[name]) for name in (*LISTS, "solutions")}}


def digest(content: Content) -> str:
    """SHA-256 (hex) of the canonical JSON of what is said."""
    text = json.dumps(columns(content), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def prose(content: Content) -> str:
    """All of its Markdown."""
    pairs = (f"{solution.cause}\n{solution.remedy}" for solution in content.solutions)
    return "\n".join((content.condition, *pairs, content.workaround))


class Lack(StrEnum):
    """What keeps a draft from being read by a reviewer."""

    CONDITION = "condition"
    REMEDY = "remedy"
    WORKAROUND = "workaround"


def lacks(content: Content) -> tuple[Lack, ...]:
    """A condition is needed, and a remedy; for a known error a workaround instead (ITIL 4, problem management)."""
    remedy = any(solution.remedy for solution in content.solutions)
    return tuple(
        lack
        for lack, missing in (
            (Lack.CONDITION, not content.condition),
            (Lack.REMEDY, not content.known_error and not remedy),
            (Lack.WORKAROUND, content.known_error and not content.workaround),
        )
        if missing
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Content):
    """A version of an article with what its page shows. ``number`` is None until it is published.

    ``author_name`` is "" for what was imported. ``source`` and ``source_id`` name it in the collection it came from.
    """

    id: int
    article_id: int
    locale: str
    translates_id: int | None
    number: int | None
    state: VersionState
    digest: str
    author_id: int | None
    author_name: str
    editor_id: int | None
    editor_name: str
    editor_ids: Sequence[int]
    based_on: int | None
    remark: str
    created_at: datetime
    edited_at: datetime
    submitted_at: datetime | None
    published_at: datetime | None
    publisher_name: str
    ended_at: datetime | None
    end_reason: str
    source: str
    source_id: str
    source_digest: str
    gone_since: datetime | None
    reviewed_at: datetime | None
    stale: Sequence[str]

    def __post_init__(self) -> None:
        Content.__post_init__(self)
        object.__setattr__(self, "state", VersionState(self.state))

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def imported(self) -> bool:
        """Whether this text is the source's own, unchanged by members."""
        return self.author_id is None and not self.editor_ids

    @property
    def url(self) -> str:
        return f"/articles/{self.article_id}/draft" if self.open else f"/articles/{self.article_id}"


def independent(version: Version, member_id: int) -> bool:
    """Whether a member may review this version: nobody judges what they wrote or changed."""
    return member_id != version.author_id and member_id not in version.editor_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedArticle:
    """What an importer hands over. ``source_id`` is stable within ``source``; ``digest`` changes when the text or
    its language does.

    The content's ``licence``, ``source_name`` and ``source_url`` must be filled in: they are shown with the text.
    """

    source: str
    source_id: str
    digest: str
    locale: str
    content: Content


class ImportOutcome(StrEnum):
    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    PROPOSED = "proposed"  # members had changed our text: the source's new one waits for a review
    HELD = "held"  # as before, and a member's draft is open: offered again by the next import


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    article_id: int
    outcome: ImportOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One member's word on whether the article helped."""

    member_id: int
    member_name: str
    ticket_id: int | None
    number: int
    solved: bool
    note: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What belongs to an article: ``kind`` "article", "ticket" or "procedure"; ``label`` its title when it was linked.

    ``why`` is "origin" (the ticket it was written from), "procedure" (one made from it) or "mention" (a text that names
    it; then ``ref`` is the text's, such as ``imp-001.fr``).
    """

    kind: str
    ref: str
    why: str
    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    id: int
    article_id: int
    sha256: str
    name: str
    media_type: str
    bytes: int
    member_id: int
    member_name: str
    added_at: datetime

    @property
    def url(self) -> str:
        return f"/articles/{self.article_id}/files/{self.id}"

    @property
    def picture(self) -> bool:
        return self.media_type.startswith("image/")


_MENTION = re.compile(r"(?<![\w-])(?:https?://[^\s/()<>]{1,100})?/articles/([1-9][0-9]{0,18})(?![\w-])")


def mentioned(text: str) -> tuple[int, ...]:
    """The ids of the articles whose address stands in a text, at most 100."""
    ids = (int(found[1]) for found in _MENTION.finditer(text))
    return tuple(dict.fromkeys(one for one in ids if one <= ID_LIMIT))[:100]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list shows. ``state`` "open" means drafts and texts in review; ``page`` counts from 1."""

    state: str = "published"
    environment: str = ""
    skill: str = ""
    text: str = ""
    known_errors: bool = False
    look_after: bool = False
    page: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    query: Query
    rows: Sequence[Version]
    total: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE))

"""A document as it was read, why one was left out, and how an import went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from compagnon.i18n import N_

TITLE_LIMIT = 200  # characters
TEXT_LIMIT = 200_000  # characters of one part of an article
FILE_LIMIT = 1_000_000  # bytes; a support document is a few kilobytes
TOTAL_LIMIT = 100_000_000  # bytes of all documents of one folder
FILES_LIMIT = 20_000  # files in one folder
PATH_LIMIT = 400  # characters
NAME_LIMIT = 120  # characters
LICENCE_LIMIT = 200  # characters
UPLOAD_LIMIT = 30_000_000  # bytes of an archive
SKIPS_LIMIT = 5_000  # skipped files kept of one run
SILENCE = timedelta(seconds=60)  # without a sign of life after which a run is taken for interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One text file; ``path`` is relative to the folder, with ``/``."""

    path: str
    text: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedArticle:
    """What one document says, in the parts of DITA troubleshooting. The texts are Markdown; nothing is added to them.

    ``path`` names the document within its source and stays when its text changes. ``address`` is where the original
    can be read; links to other documents of the source are written ``article:PATH``. ``applies_to`` are codes of our
    own environments, which only our own notes can name. ``updated`` is the source's date (ISO), "" when it says none.
    """

    path: str
    title: str
    locale: str
    condition: str
    remedy: str
    cause: str = ""
    error_codes: tuple[str, ...] = ()
    applies_to: tuple[str, ...] = ()
    os: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    licence: str = ""
    authors: tuple[str, ...] = ()
    address: str = ""
    updated: str = ""


class SkipReason(StrEnum):
    OTHER_FILE = "other-file"
    INDEX = "index"
    NOT_A_PROBLEM = "not-a-problem"
    LEGAL = "legal"
    TEMPLATE = "template"
    MOVED = "moved"
    DEPRECATED = "deprecated"
    EMPTY = "empty"
    NO_TITLE = "no-title"
    TOO_LARGE = "too-large"
    BINARY = "binary"
    ENCODING = "encoding"
    NAME = "name"
    LINK = "link"
    FRONT_MATTER = "front-matter"
    XML = "xml"
    UNREADABLE = "unreadable"
    REFUSED = "refused"


REASONS: Mapping[SkipReason, str] = {
    SkipReason.OTHER_FILE: N_("not a document of this format"),
    SkipReason.INDEX: N_("an index or a read-me, which only leads to other pages"),
    SkipReason.NOT_A_PROBLEM: N_("not a problem page"),
    SkipReason.LEGAL: N_("a licence text"),
    SkipReason.TEMPLATE: N_("a template or an example"),
    SkipReason.MOVED: N_("only says that it was moved"),
    SkipReason.DEPRECATED: N_("only says that it is deprecated"),
    SkipReason.EMPTY: N_("no text"),
    SkipReason.NO_TITLE: N_("no title"),
    SkipReason.TOO_LARGE: N_("too large: {limit} kB at most"),
    SkipReason.BINARY: N_("not a text"),
    SkipReason.ENCODING: N_("not in UTF-8"),
    SkipReason.NAME: N_("a name that cannot be read, is too long or comes twice"),
    SkipReason.LINK: N_("a symbolic link, which is not followed"),
    SkipReason.FRONT_MATTER: N_("a header (YAML) that cannot be read"),
    SkipReason.XML: N_("not XML that can be read safely"),
    SkipReason.UNREADABLE: N_("cannot be opened"),
    SkipReason.REFUSED: N_("refused by the knowledge base"),
}


def reason_params(reason: SkipReason) -> dict[str, int]:
    """What fills the fields of a reason."""
    return {"limit": FILE_LIMIT // 1000} if reason is SkipReason.TOO_LARGE else {}


EXPECTED = frozenset(
    {
        SkipReason.OTHER_FILE,
        SkipReason.INDEX,
        SkipReason.NOT_A_PROBLEM,
        SkipReason.LEGAL,
        SkipReason.TEMPLATE,
        SkipReason.MOVED,
        SkipReason.DEPRECATED,
    }
)
"""Left out on purpose; every other reason is a fault of the file that somebody may want to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file that gave no article. ``detail`` is shown as it is: the parser's own words, in English."""

    path: str
    reason: SkipReason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a folder holds."""

    articles: tuple[ParsedArticle, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What the importer says about a folder that does not say it itself."""

    locale: str = ""
    licence: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class RunKind(StrEnum):
    FOLDER = "folder"
    ARCHIVE = "archive"
    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A collection. ``articles`` are in force, ``gone`` of them no longer at the source, ``withdrawn`` out of force."""

    id: int
    name: str
    format: str
    locale: str
    licence: str
    created_at: datetime
    articles: int = 0
    gone: int = 0
    withdrawn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many documents an import has dealt with, and how."""

    done: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    proposed: int = 0
    removed: int = 0

    @property
    def told(self) -> dict[str, int]:
        return asdict(self)

    def plus(self, **more: int) -> Counts:
        return Counts(**{name: value + more.get(name, 0) for name, value in asdict(self).items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One import. ``problem`` is an English msgid with ``problem_params``, "" while nothing went wrong."""

    id: int
    source_id: int
    kind: str
    label: str
    state: RunState
    total: int
    done: int
    added: int
    changed: int
    unchanged: int
    proposed: int
    removed: int
    skipped: int
    problem: str
    problem_params: Mapping[str, Any] = field(hash=False)
    started_by: int
    starter_name: str
    started_at: datetime
    touched_at: datetime
    finished_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", RunState(self.state))

    def shown_state(self, now: datetime) -> RunState:
        """Its state as it is now: a run that fell silent was cut off."""
        silent = self.state is RunState.RUNNING and now - self.touched_at > SILENCE
        return RunState.INTERRUPTED if silent else self.state

    @property
    def active(self) -> bool:
        return self.state in (RunState.QUEUED, RunState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """An article whose document is no longer at its source."""

    article_id: int
    title: str
    path: str
    gone_since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an import is asked to do. Empty values are found out from the folder, or kept from the last import."""

    name: str
    format: str = ""
    locale: str = ""
    licence: str = ""
    label: str = ""

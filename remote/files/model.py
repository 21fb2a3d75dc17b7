"""What a machine tells about its files (hostile until read), and the rules of carrying them over HTTP."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote, unquote_to_bytes

from compagnon_agent.protocol.wire import boolean, choice, clean_text, integer, text

KEY_LENGTH = 12_288  # characters of a path, percent-encoded
PAGE = 200  # entries shown at once
PIECE = 8 * 1024 * 1024  # bytes of one request of an upload; below what the proxies of the documentation take
TEXT_LIMIT = 64 * 1024  # bytes of a text that are shown
PICTURE_LIMIT = 8 * 1024 * 1024
RATES = (0, 1, 2, 5, 10, 20)  # MB/s to choose from; 0: none
MEGABYTE = 1_000_000
LABEL_PATH = 90  # characters of a path in a mark of the recording; its text has all of it

_COUNT = integer(0, 2**53)
_RANGE = re.compile(r"bytes=(\d{1,16})?-(\d{1,16})?")
_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class Kind(StrEnum):
    FOLDER = "folder"
    FILE = "file"
    LINK = "link"
    SPECIAL = "special"
    NONE = ""


class Order(StrEnum):
    NAME = "name"
    SIZE = "size"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``key`` is the name, percent-encoded, or for the top folders a whole path. A link: where it ``leads``, ``to``."""

    name: Annotated[str, text(4096)]
    key: Annotated[str, text(KEY_LENGTH)]
    kind: Annotated[Kind, choice(Kind)]
    size: Annotated[int, _COUNT]
    modified: Annotated[int, integer(0, 2**40)]
    target: Annotated[str, text(KEY_LENGTH)] = ""
    leads: Annotated[Kind, choice(Kind)] = Kind.NONE
    to: Annotated[str, text(500)] = ""

    @property
    def since(self) -> datetime | None:
        """None for a time that no calendar has."""
        try:
            return datetime.fromtimestamp(self.modified, UTC)
        except (OverflowError, ValueError, OSError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is asked for; an empty ``key`` is the top: the folders that are opened."""

    key: str = ""
    order: Order = Order.NAME
    down: bool = False
    wanted: str = ""
    hidden: bool = False
    start: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """``root`` is the opened folder that this one is in; ``more``: entries that the machine did not look at.

    ``rate``: how fast the session's transfers may go, in MB/s; 0: as fast as they go.
    """

    look: Look
    path: str
    root: str
    root_path: str
    entries: Sequence[Entry]
    total: int
    more: int
    rate: int

    @property
    def next(self) -> int | None:
        """Where the next page starts."""
        end = self.look.start + len(self.entries)
        return end if self.entries and end < self.total else None

    @property
    def crumbs(self) -> Sequence[tuple[str, str]]:
        """Name and key of each folder from the root down to this one."""
        if not self.look.key:
            return ()
        found = [(self.root_path, self.root)]
        rest = self.look.key[len(self.root) :].strip("/") if self.look.key.startswith(self.root) else ""
        for name in filter(None, rest.split("/")):
            found.append((plain_name(name), f"{found[-1][1].rstrip('/')}/{name}"))
        return found

    def key_to(self, entry: Entry) -> str:
        """The whole path of an entry."""
        return f"{self.look.key.rstrip('/')}/{entry.key}" if self.look.key else entry.key


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A file that is being read: its whole ``size``, the ``length`` that comes, a ``version`` that its content has."""

    size: Annotated[int, _COUNT]
    length: Annotated[int, _COUNT]
    modified: Annotated[int, integer(0, 2**40)]
    version: Annotated[str, text(80)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How a transfer ended at the machine. ``skipped``: things that are not in an archive."""

    outcome: Annotated[str, text(20)]
    sha256: Annotated[str, text(64)]
    bytes: Annotated[int, _COUNT]
    skipped: Annotated[int, _COUNT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """``have``: bytes that are there from before; ``exists``: a file that would be written over."""

    have: Annotated[int, _COUNT]
    exists: Annotated[bool, boolean]
    size: Annotated[int, _COUNT] = 0
    modified: Annotated[int, integer(0, 2**40)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an upload goes: into the folder ``key``, under ``names`` (folders, then the file)."""

    key: str
    names: Sequence[str]
    size: int
    modified: int

    @property
    def path(self) -> str:
        return f"{plain(self.key)}/{'/'.join(self.names)}"

    def token(self, member_id: int) -> str:
        """The same member sending the same file to the same place goes on where they were; nobody else does."""
        facts = f"{member_id}\0{self.key}\0{'/'.join(self.names)}\0{self.size}\0{self.modified}"
        return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def plain_name(name: str) -> str:
    return clean_text(unquote_to_bytes(name).decode("utf-8", "replace"))


def plain(key: str) -> str:
    """A key as people read it."""
    path = plain_name(key)
    return path[1:].replace("/", "\\") if re.match(r"/[A-Za-z]:", path) else path


def name_of(key: str) -> str:
    return plain_name(key.rstrip("/").rpartition("/")[2])


def shortened(path: str, limit: int = LABEL_PATH) -> str:
    """The middle of a long path is left out: its end says most."""
    if len(path) <= limit:
        return path
    kept = limit - 1
    return f"{path[: kept // 3]}…{path[-(kept - kept // 3) :]}"


def disposition(name: str) -> str:
    """``Content-Disposition`` of a download: the name for old programs in ASCII, then whole (RFC 6266 §4.3, RFC 8187).

    Nothing in the name can end the field, name another folder or begin another header.
    """
    last = re.split(r"[/\\]", name)[-1] or "file"
    safe = "".join(sign if sign.isprintable() else "_" for sign in last)[:200].strip(". ") or "file"
    ascii_name = re.sub(r"[^A-Za-z0-9 ._()+,=@~-]", "_", safe)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(safe, safe='')}"


def range_of(header: str) -> tuple[int, int] | None:
    """First byte and length (0: to the end) of a single ``Range`` (RFC 9110 §14.1.2).

    None for what need not be honoured: several ranges, the last bytes only, and whatever cannot be read.
    """
    found = _RANGE.fullmatch(header.strip())
    if not found or found[1] is None:
        return None
    first, last = int(found[1]), found[2]
    if last is None:
        return first, 0
    return (first, int(last) - first + 1) if int(last) >= first else None


def picture_type(head: bytes) -> str:
    """By its first bytes; empty for anything but the pictures that every browser draws without running anything."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _PICTURES if head.startswith(start)), "")


def readable(head: bytes) -> str | None:
    """The text in the first bytes of a file; None when it is none."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", "replace")
    if b"\0" in head:
        return None
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 3:  # cut in the middle of a character
            return head[: error.start].decode("utf-8-sig")
        return head.decode("cp1252", "replace")

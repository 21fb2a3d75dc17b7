"""New versions of the agent: the manifest that the co-operative's release key signs, and the messages about it.

The server only hands releases on. An agent believes none that is not signed by the release key it pinned, and runs a
manifest's counter at most once, ever upwards: whoever holds the server can neither make a release nor replay one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from .envelope import Message
from .signing import SIGNATURE_LENGTH, pack
from .wire import WireError, choice, dumps, fixed_bytes, instant, integer, loads, record, text, write_record

MANIFEST_LIMIT = 4000
"""Bytes of a manifest."""

SIZE_LIMIT = 8 * 1024 * 1024
"""Bytes of a release's file."""

COUNTERS = 2**31 - 1
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseManifest:
    """``counter`` grows by each release; ``minimum`` is the oldest version that may change over to this one.

    ``sha256`` and ``size`` (bytes) are the file's; nobody installs it after ``expires``; ``python`` is the least that
    it needs.
    """

    version: Annotated[str, text(20, minimum=3)]
    counter: Annotated[int, integer(1, COUNTERS)]
    sha256: Annotated[bytes, fixed_bytes(32)]
    size: Annotated[int, integer(1, SIZE_LIMIT)]
    minimum: Annotated[str, text(20, minimum=3)]
    expires: Annotated[datetime, instant]
    python: Annotated[str, text(20, minimum=3)] = "3.11"


class ReleaseState(StrEnum):
    """What became of a release on one machine. ``trial``: it runs, and has yet to prove itself."""

    REFUSED = "refused"
    TRIAL = "trial"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled_back"


_manifest_text = text(MANIFEST_LIMIT, minimum=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseQuery(Message):
    """Agent, after ``welcome`` and from time to time: the highest counter it ever took. No answer: nothing newer."""

    TYPE: ClassVar[str] = "release_query"
    counter: Annotated[int, integer(0, COUNTERS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOffer(Message):
    """Server: a newer release; its file is at ``/agent/releases/`` and its SHA-256 in hexadecimal digits."""

    TYPE: ClassVar[str] = "release_offer"
    manifest: Annotated[str, _manifest_text]
    signature: Annotated[bytes, fixed_bytes(SIGNATURE_LENGTH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReport(Message):
    """Agent: what became of the release with this counter, and why."""

    TYPE: ClassVar[str] = "release_report"
    counter: Annotated[int, integer(1, COUNTERS)]
    state: Annotated[ReleaseState, choice(ReleaseState)]
    reason: Annotated[str, text(500)] = ""


def write_manifest(manifest: ReleaseManifest) -> str:
    """The text that is signed."""
    return dumps(write_record(manifest))


def read_manifest(source: str) -> ReleaseManifest:
    """:class:`WireError` for anything that is not one, versions and counter included."""
    manifest = record(ReleaseManifest).read(loads(source, limit=MANIFEST_LIMIT), "")
    for name in ("version", "minimum", "python"):
        if version_parts(getattr(manifest, name)) is None:
            raise WireError(name, "must look like 1.2.3")
    return manifest


def release_proof(manifest: str) -> bytes:
    """Signed by the release key: these very characters."""
    return pack("compagnon agent release 1", manifest.encode())


def version_parts(version: str) -> tuple[int, int, int] | None:
    """``1.2.3`` or ``1.2`` as numbers to compare; None for anything else."""
    found = _VERSION.fullmatch(version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def refusal(manifest: ReleaseManifest, *, running: str, counter: int, python: str, now: datetime) -> str:
    """Why an agent of version ``running`` that took ``counter`` before does not install this; empty when it does."""
    here, least = version_parts(running), version_parts(manifest.minimum)
    if manifest.counter <= counter:
        return f"release {manifest.counter} is not newer than {counter}, which was taken before"
    if manifest.expires <= now:
        return f"release {manifest.counter} has expired"
    if here is None or least is None or here < least:
        return f"release {manifest.counter} needs version {manifest.minimum}, this is {running}"
    if (version_parts(python) or (0, 0, 0)) < (version_parts(manifest.python) or (0, 0, 0)):
        return f"release {manifest.counter} needs Python {manifest.python}, this is {python}"
    return ""


def place(machine_id: int, counter: int) -> int:
    """0 to 99, the same for ever: a release that goes to 25 % of the machines goes to those whose place is below 25."""
    return int.from_bytes(hashlib.sha256(f"{counter}:{machine_id}".encode()).digest()[:4], "big") % 100

"""Releases of the agent as the server keeps them. It hands them on; only the release key makes them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

SHARES = (0, 1, 5, 10, 25, 50, 100)
"""Per cent of the machines that a release may be offered to."""

SIGNED_LIMIT = 16 * 1024
"""Bytes of the file that holds a manifest and its signature."""


class RolloutState(StrEnum):
    PUBLISHED = "published"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A manifest as text, and the release key's signature over it."""

    manifest: str
    signature: bytes

    def as_json(self) -> str:
        signature = base64.b64encode(self.signature).decode("ascii")
        return json.dumps({"manifest": self.manifest, "signature": signature}, indent=1) + "\n"

    @classmethod
    def read(cls, source: bytes) -> Signed | None:
        """None for anything else; whether it is well signed is for others to say."""
        try:
            content = json.loads(source if len(source) <= SIGNED_LIMIT else b"")
            manifest, signature = content["manifest"], base64.b64decode(content["signature"], validate=True)
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
            return None
        return cls(manifest=manifest, signature=signature) if isinstance(manifest, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """``share`` is in per cent; the counts are of machines, by the last word of each."""

    id: int
    counter: int
    version: str
    state: RolloutState
    share: int
    expires_at: datetime
    published_at: datetime
    publisher: str
    trying: int
    confirmed: int
    refused: int
    rolled_back: int

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text
        object.__setattr__(self, "state", RolloutState(self.state))

    @property
    def expired(self) -> bool:
        return self.expires_at <= datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A release that a machine might be offered."""

    counter: int
    share: int
    manifest: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a machine said last about a release; ``reason`` is its own word, shown escaped."""

    machine_id: int
    machine_name: str
    client_name: str
    agent_version: str
    state: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionCount:
    version: str
    machines: int

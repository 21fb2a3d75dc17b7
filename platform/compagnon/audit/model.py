"""What an audit record is and how its hash is made (ASVS 5.0 §16: who, when, what, on which)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

GENESIS = "0" * 64
DETAILS_LIMIT = 8 * 1024  # bytes of JSON: an audit record says what happened, it does not carry documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acted, as ``kind:id``."""

    name: str

    @classmethod
    def member(cls, member_id: int) -> Actor:
        return cls(name=f"member:{member_id}")

    @classmethod
    def agent(cls, machine_id: int) -> Actor:
        return cls(name=f"agent:{machine_id}")

    @classmethod
    def system(cls) -> Actor:
        return cls(name="system")

    @classmethod
    def anonymous(cls) -> Actor:
        return cls(name="anonymous")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]
    previous: str
    hash: str

    @property
    def expected(self) -> str:
        return chain(self.previous, self.seq, self.at, self.actor, self.action, self.subject, self.details)


def chain(
    previous: str, seq: int, at: datetime, actor: str, action: str, subject: str, details: Mapping[str, Any]
) -> str:
    """SHA-256 (hex) over the previous hash and the record's canonical JSON."""
    content = [seq, at.isoformat(timespec="microseconds"), actor, action, subject, details]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()

"""Hashing in a thread: argon2id with the parameters of RFC 9106 §4 (second recommendation: 64 MiB, three passes)."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

HASHER = PasswordHasher()
AT_ONCE = 4  # of 64 MiB each: a flood of sign-ins must not take the machine's memory


class Passwords:
    """``await hash(password)``, ``await verify(hash, password)``; at most four at a time."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        async with self._room:
            return await asyncio.to_thread(HASHER.hash, _normal(password))

    async def verify(self, known: str | None, password: str) -> bool:
        """Whether the password fits. With no known hash the same work is done, and the answer is no."""
        async with self._room:
            return await asyncio.to_thread(_verify, known, _normal(password))


def outdated(known: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return HASHER.check_needs_rehash(known)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


@lru_cache(maxsize=1)
def _decoy() -> str:
    return HASHER.hash(secrets.token_hex())


def _verify(known: str | None, password: str) -> bool:
    try:
        HASHER.verify(known or _decoy(), password)
    except (VerificationError, InvalidHashError):
        return False
    return known is not None

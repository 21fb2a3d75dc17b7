"""How often someone may try a password: limits by account, by address and by both, kept in the database.

An attempt is counted before the password is looked at and forgotten when it was right: parallel tries count too.
Only keyed hashes are kept. The answer is the same for accounts that do not exist (ASVS 5.0 §6.3.1, §6.3.8).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from compagnon.db import Connection, Database
from compagnon.errors import TooMany
from compagnon.i18n import N_

WINDOW = 15 * 60  # seconds
PER_ACCOUNT_AND_ADDRESS = 5
PER_ACCOUNT = 50  # from everywhere: high enough that a stranger cannot easily keep a member out
PER_ADDRESS = 100  # an office or a village behind one address

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(encode(%s, 'hex'), 0))"
INSERT = """
INSERT INTO sign_in_attempts (key, account) SELECT unnest(%(keys)s::bytea[]), %(account)s RETURNING id
"""
COUNT = """
SELECT key, count(*), ceil(%(window)s - extract(epoch FROM now() - min(at)))::int FROM sign_in_attempts
WHERE key = ANY(%(keys)s) AND at > now() - make_interval(secs => %(window)s) GROUP BY key
"""
FORGET_SOME = "DELETE FROM sign_in_attempts WHERE id = ANY(%(ids)s)"
FORGET_KEY = "DELETE FROM sign_in_attempts WHERE key = %(key)s"
FORGET_ACCOUNT = "DELETE FROM sign_in_attempts WHERE account = %(account)s"
FORGET_OLD = "DELETE FROM sign_in_attempts WHERE at < now() - make_interval(secs => %(window)s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    pair: bytes
    rows: tuple[int, ...]


class Attempts:
    def __init__(self, db: Database, secret_key: str) -> None:
        self._db = db
        self._secret = secret_key.encode() or b"compagnon"

    async def begin(self, email: str, address: str) -> Attempt:
        """Count one try. Raises TooMany, with the seconds to wait, when there were too many."""
        pair = self._key("both", email.strip().lower(), address)
        account_key = self._account_key(email)
        limits = {
            pair: PER_ACCOUNT_AND_ADDRESS,
            account_key: PER_ACCOUNT,
            self._key("address", address): PER_ADDRESS,
        }
        async with self._db.transaction() as conn:
            wait = await _wait(conn, limits)
            rows = () if wait else await _insert(conn, list(limits), account_key)
        if wait:
            raise TooMany(
                N_("Too many tries. Wait {minutes} min, or ask an administrator for a new password."),
                retry_after=wait,
                minutes=-(-wait // 60),
            )
        return Attempt(pair=pair, rows=rows)

    async def succeeded(self, attempt: Attempt) -> None:
        """The password was right: forget this try, and the wrong ones of this account from this address."""
        async with self._db.transaction() as conn:
            await conn.execute(LOCK, (attempt.pair,))  # two right tries at once would wait for each other's rows
            await conn.execute(FORGET_SOME, {"ids": list(attempt.rows)})
            await conn.execute(FORGET_KEY, {"key": attempt.pair})
            await conn.execute(FORGET_OLD, {"window": WINDOW})

    async def forget(self, conn: Connection, email: str) -> None:
        """Let this account try again from everywhere: an administrator gave it a new password."""
        await conn.execute(FORGET_ACCOUNT, {"account": self._account_key(email)})

    def _account_key(self, email: str) -> bytes:
        return self._key("account", email.strip().lower())

    def _key(self, *parts: str) -> bytes:
        return hmac.new(self._secret, "\0".join(("attempt", *parts)).encode(), hashlib.sha256).digest()


async def _wait(conn: Connection, limits: dict[bytes, int]) -> int:
    """Seconds until a try is allowed again; 0: now."""
    await conn.execute(LOCK, (next(iter(limits)),))
    rows = await (await conn.execute(COUNT, {"keys": list(limits), "window": WINDOW})).fetchall()
    return max((max(1, wait) for key, count, wait in rows if count >= limits[bytes(key)]), default=0)


async def _insert(conn: Connection, keys: Sequence[bytes], account: bytes) -> tuple[int, ...]:
    rows = await (await conn.execute(INSERT, {"keys": list(keys), "account": account})).fetchall()
    return tuple(row[0] for row in rows)

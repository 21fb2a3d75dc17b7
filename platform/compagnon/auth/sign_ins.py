"""Signing in and out. The browser holds a random token; the database holds its hash, and nothing is in the cookie."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth import sign_in_store as sign_ins
from compagnon.auth import store
from compagnon.auth.model import EMAIL_LIMIT, PASSWORD_LIMIT, Member, SignIn
from compagnon.auth.passwords import outdated
from compagnon.auth.service import Members
from compagnon.db import Connection, Database
from compagnon.errors import Forbidden, NotFound
from compagnon.i18n import N_
from compagnon.settings import Settings

TOKEN_BYTES = 32  # 256 bits; ASVS 5.0 §7.2.3 asks for 128
BROWSER_LIMIT = 300
WRONG = N_("The e-mail address or the password is wrong.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """``token`` goes into the cookie and is not known to anyone else."""

    token: str
    member: Member


class SignIns:
    def __init__(self, db: Database, settings: Settings, members: Members) -> None:
        self._db = db
        self._settings = settings
        self._members = members

    async def sign_in(
        self, email: str, password: str, *, address: str = "", browser: str = "", replaces: str = ""
    ) -> SignedIn:
        """Check the password and open a new sign-in; ``replaces`` is a token the browser still held, closed with it.

        Raises Forbidden (the same for an unknown account, a wrong password, a member kept out), TooMany.
        """
        if len(email) > EMAIL_LIMIT or len(password) > PASSWORD_LIMIT or "\x00" in email:
            raise Forbidden(WRONG)
        attempt = await self._members.attempts.begin(email, address)
        async with self._db.connection() as conn:
            member = await store.by_email(conn, email.strip().lower())
            known = await store.password_hash(conn, member.id) if member and member.active else None
        if not await self._members.passwords.verify(known, password) or member is None or known is None:
            raise Forbidden(WRONG)
        await self._members.attempts.succeeded(attempt)
        token = await self.open(member.id, address=address, browser=browser, replaces=replaces)
        if outdated(known):
            await self._rehash(member.id, known, password)
        return SignedIn(token=token, member=member)

    async def open(self, member_id: int, *, address: str = "", browser: str = "", replaces: str = "") -> str:
        """A new sign-in without a password (tests, demo, the command line). Returns the token."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        values = {
            "hash": token_hash(token),
            "member": member_id,
            "hours": self._settings.session_hours,
            "address": address[:64],
            "browser": _printable(browser),
        }
        async with self._db.transaction() as conn:
            if replaces:
                await sign_ins.close(conn, token_hash(replaces))
            await sign_ins.forget_old(conn, self._settings.session_idle_minutes)
            await sign_ins.open_(conn, values)
            await _noted(conn, "member.signed_in", member_id, address=values["address"])
        return token

    async def resolve(self, token: str) -> tuple[Member, SignIn] | None:
        """The active member a live token belongs to."""
        if not token or len(token) > 100:
            return None
        async with self._db.connection() as conn:
            return await sign_ins.resolve(conn, token_hash(token), self._settings.session_idle_minutes)

    async def sign_out(self, token: str) -> None:
        async with self._db.transaction() as conn:
            member_id = await sign_ins.close(conn, token_hash(token))
            if member_id is not None:
                await _noted(conn, "member.signed_out", member_id)

    async def sign_out_one(self, member: Member, sign_in_id: int) -> None:
        """Close one of the member's own sign-ins. Raises NotFound."""
        async with self._db.transaction() as conn:
            if not await sign_ins.close_one(conn, sign_in_id, member.id):
                raise NotFound(N_("This device is signed out already."))
            await _noted(conn, "member.signed_out", member.id, sign_in=sign_in_id)

    async def sign_out_everywhere(self, member_id: int) -> int:
        """Close all sign-ins of a member; how many there were."""
        async with self._db.transaction() as conn:
            closed = await sign_ins.close_all(conn, member_id)
            await events.publish(conn, f"member:{member_id}", "signed_out", {"member": member_id})
            await _noted(conn, "member.signed_out_everywhere", member_id, closed=closed)
        return closed

    async def listed(self, member_id: int) -> Sequence[SignIn]:
        """Where a member is signed in, the last seen first."""
        async with self._db.connection() as conn:
            return await sign_ins.listed(conn, member_id, self._settings.session_idle_minutes)

    async def _rehash(self, member_id: int, known: str, password: str) -> None:
        digest = await self._members.passwords.hash(password)
        async with self._db.transaction() as conn:
            await store.change_password(conn, member_id, known, digest)


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:BROWSER_LIMIT]


async def _noted(conn: Connection, action: str, member_id: int, **details: object) -> None:
    subject = f"member:{member_id}"
    await audit.record(conn, actor=Actor.member(member_id), action=action, subject=subject, details=details)

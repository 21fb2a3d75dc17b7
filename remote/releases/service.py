"""Publish releases of the agent, offer them to a growing share of the machines, keep what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import psycopg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member, Role
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol.releases import (
    SIZE_LIMIT,
    ReleaseManifest,
    ReleaseOffer,
    ReleaseReport,
    place,
    read_manifest,
    release_proof,
)
from compagnon_agent.protocol.signing import KEY_LENGTH, fingerprint
from compagnon_agent.protocol.wire import WireError
from remote.machines import bounds
from remote.machines import store as machine_store
from remote.machines.budget import Budget
from remote.machines.model import Machine, now
from remote.releases import store
from remote.releases.model import SHARES, Outcome, Release, RolloutState, Signed, VersionCount

TOPIC = "releases:all"


class Releases:
    """Only administrators change anything here; what they can bring about is bounded by the release key's signature."""

    def __init__(self, kernel: Kernel) -> None:
        self._db = kernel.db
        self._budget = Budget()

    # reading

    async def key(self) -> bytes | None:
        """The release key that new machines pin; None before there is one."""
        async with self._db.connection() as conn:
            return await store.key(conn)

    async def listed(self) -> Sequence[Release]:
        """The newest first, at most 50."""
        async with self._db.connection() as conn:
            return await store.listed(conn)

    async def get(self, release_id: int) -> Release:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            found = await store.get(conn, release_id)
        if found is None:
            raise NotFound(N_("There is no such release."))
        return found

    async def outcomes(self, release_id: int) -> Sequence[Outcome]:
        async with self._db.connection() as conn:
            return await store.outcomes(conn, release_id)

    async def versions(self) -> Sequence[VersionCount]:
        async with self._db.connection() as conn:
            return await store.versions(conn)

    async def file(self, digest: str) -> bytes:
        """The file with this SHA-256 (hexadecimal). Raises NotFound, also while its release is paused."""
        try:
            sha256 = bytes.fromhex(digest) if len(digest) == 64 else b""
        except ValueError:
            sha256 = b""
        async with self._db.connection() as conn:
            found = await store.file(conn, sha256) if sha256 else None
        if found is None:
            raise NotFound(N_("There is no such release."))
        return found

    # what administrators do

    async def trust(self, member: Member, key: bytes) -> None:
        """From now on releases must be signed by this key, and new machines pin it. Raises Invalid, Forbidden."""
        _administrator(member)
        if len(key) != KEY_LENGTH:
            raise Invalid(N_("A release key is 32 bytes in base64."), field="key")
        async with self._db.transaction() as conn:
            await store.add_key(conn, key, member.id)
            await events.publish(conn, TOPIC, "key")
            details = {"key": key.hex(), "digits": fingerprint(key)}
            actor = Actor.member(member.id)
            await audit.record(conn, actor=actor, action="release_key.trusted", subject="agent", details=details)

    async def publish(self, member: Member, signed: Signed, content: bytes, *, share: int) -> int:
        """Put a signed release in force for ``share`` per cent of the machines. Gives its id.

        Raises Invalid (bad signature, another file, expired, a counter that is not the highest), Conflict, Forbidden.
        """
        _administrator(member)
        _check_share(share)
        manifest = _checked(signed, content, await self.key())
        try:
            async with self._db.transaction() as conn:
                if manifest.counter <= await store.newest(conn):
                    raise Invalid(N_("Its counter must be higher than that of every release before."), field="manifest")
                release_id = await store.add(conn, _values(manifest, signed, content, share, member))
                await events.publish(conn, TOPIC, "published")
                details = {"counter": manifest.counter, "version": manifest.version, "share": share}
                await _audited(conn, member, "agent_release.published", release_id, details)
        except psycopg.errors.UniqueViolation:
            raise Conflict(N_("Somebody else published a release at this moment: look at it first.")) from None
        return release_id

    async def roll_out(self, member: Member, seen: Release, *, state: RolloutState, share: int) -> None:
        """Change how far a release goes, from what the member saw. Raises Conflict when it changed meanwhile."""
        _administrator(member)
        _check_share(share)
        async with self._db.transaction() as conn:
            if not await store.roll_out(conn, seen, state=state, share=share):
                raise Conflict(N_("Somebody else changed this release at this moment: look at it first."))
            await events.publish(conn, TOPIC, "rollout")
            details = {"counter": seen.counter, "state": state.value, "share": share, "old": [seen.state, seen.share]}
            await _audited(conn, member, "agent_release.rolled_out", seen.id, details)

    # what agents ask and tell

    async def offer(self, machine_id: int, counter: int) -> ReleaseOffer | None:
        """The newest release for this machine above ``counter``: of those whose share it belongs to."""
        async with self._db.connection() as conn:
            found = await store.offered(conn, counter)
        for one in found:
            if place(machine_id, one.counter) < one.share:
                return ReleaseOffer(manifest=one.manifest, signature=one.signature)
        return None

    async def reported(self, machine: Machine, report: ReleaseReport) -> None:
        """Keep a machine's word about a release. Repeats, and what exceeds its budget, are left out."""
        reason = bounds.text(report.reason, 500)
        if self._budget.spend(machine.id, "release", f"{report.counter} {report.state} {reason}") is None:
            return
        async with self._db.transaction() as conn:
            known = await store.keep_result(
                conn, machine_id=machine.id, counter=report.counter, state=report.state, reason=reason
            )
            if known is None:
                return
            subject, kind = str(report.counter), f"release_{report.state}"
            await machine_store.add_event(conn, machine.id, kind, subject=subject, detail=reason)
            for topic in (TOPIC, f"machine:{machine.id}"):
                await events.publish(conn, topic, kind)
            await audit.record(
                conn,
                actor=Actor.agent(machine.id),
                action=f"agent_release.{report.state}",
                subject=f"machine:{machine.id}",
                details={"counter": report.counter, "reason": reason},
            )


def _administrator(member: Member) -> None:
    if not member.role.covers(Role.ADMINISTRATOR):
        raise Forbidden(N_("Only administrators may do this."))


def _check_share(share: int) -> None:
    if share not in SHARES:
        raise Invalid(N_("Please choose one of the list."), field="share")


def _checked(signed: Signed, content: bytes, key: bytes | None) -> ReleaseManifest:
    if key is None:
        raise Invalid(N_("There is no release key yet: trust one first."), field="manifest")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signed.signature, release_proof(signed.manifest))
        manifest = read_manifest(signed.manifest)
    except InvalidSignature:
        raise Invalid(N_("The release key did not sign this."), field="manifest") from None
    except WireError as fault:
        raise Invalid(N_("This is not a manifest: {reason}"), field="manifest", reason=str(fault)) from None
    if len(content) > SIZE_LIMIT or hashlib.sha256(content).digest() != manifest.sha256:
        raise Invalid(N_("This is not the file that was signed."), field="file")
    if manifest.expires <= now():
        raise Invalid(N_("This release has expired already: sign it anew."), field="manifest")
    return manifest


def _values(manifest: ReleaseManifest, signed: Signed, content: bytes, share: int, member: Member) -> dict[str, object]:
    return {
        "counter": manifest.counter,
        "version": manifest.version,
        "manifest": signed.manifest,
        "signature": signed.signature,
        "sha256": manifest.sha256,
        "content": content,
        "share": share,
        "expires": manifest.expires,
        "member_id": member.id,
    }


async def _audited(
    conn: psycopg.AsyncConnection, member: Member, action: str, release_id: int, details: Mapping[str, object]
) -> None:
    subject = f"agent_release:{release_id}"
    await audit.record(conn, actor=Actor.member(member.id), action=action, subject=subject, details=details)

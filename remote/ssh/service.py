"""Devices of a client: add, change, and decide which key of theirs is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from remote.machines import store as machine_store
from remote.machines.service import Machines, checked_name
from remote.ssh import credentials_store, store
from remote.ssh.model import REASON, Device, HostKey, HostKeyState, NewDevice, is_host, is_username

CAPABILITIES = ("terminal", "files")
MOVED_ON = N_("Another key is shown now, or somebody decided first: look at the page again.")


class Devices:
    """Use cases. Any member may help any client; a changed key needs two of them."""

    def __init__(self, kernel: Kernel, machines: Machines) -> None:
        self._db = kernel.db
        self._directory = kernel.directory
        self._machines = machines

    # reading

    async def get(self, machine_id: int) -> Device:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            return await _existing(conn, machine_id)

    async def for_client(self, client_id: int) -> list[Device]:
        async with self._db.connection() as conn:
            return await store.for_client(conn, client_id)

    async def ready(self) -> list[int]:
        async with self._db.connection() as conn:
            return await store.ready(conn)

    async def keys(self, machine_id: int) -> Sequence[HostKey]:
        """Every key that the device showed, newest first."""
        async with self._db.connection() as conn:
            return await store.keys(conn, machine_id)

    async def trusted(self, machine_id: int) -> HostKey | None:
        async with self._db.connection() as conn:
            return await store.trusted(conn, machine_id)

    # adding and changing

    async def add(
        self, member: Member, client_id: int, new: NewDevice, *, site_id: int | None, environment: str | None
    ) -> Device:
        """A machine of kind "device". Raises Invalid, NotFound."""
        client = await self._directory.get(client_id)
        name = checked_name(new.name)
        values = _columns(new)
        machine = {
            "name": name, "client_id": client.id, "site_id": site_id, "environment": environment, "host": new.host[:80],
            "member_id": member.id, "capabilities": list(CAPABILITIES),
        }  # fmt: skip
        async with self._db.transaction() as conn:
            await self._check_place(conn, client_id, new)
            machine_id = await store.add(conn, machine, values)
            details = {**values, "client": client_id, "name": name}
            await _tell(conn, await _existing(conn, machine_id), "added", Actor.member(member.id), details)
        return await self.get(machine_id)

    async def change(self, member: Member, machine_id: int, new: NewDevice) -> Device:
        """Raises Invalid, NotFound, Conflict (not in use any more). Keys already confirmed stay: another device at the
        new address is noticed as a changed key.
        """
        device = await self.get(machine_id)
        values = _columns(new) | {"name": checked_name(new.name), "machine_id": machine_id}
        async with self._db.transaction() as conn:
            await self._check_place(conn, device.client_id, new)
            if not await store.change(conn, values):
                raise Conflict(N_("This device is not in use any more."))
            await _tell(conn, device, "changed", Actor.member(member.id), values)
        return await self.get(machine_id)

    async def _check_place(self, conn: Connection, client_id: int, new: NewDevice) -> None:
        """Everything that a device names is its own client's."""
        if new.via_machine_id is not None:
            via = await machine_store.get(conn, new.via_machine_id)
            if via is None or via.client_id != client_id or via.is_device:
                raise Invalid(N_("Please choose a machine of this client that has an agent."), field="via_machine_id")
        if new.credential_id is not None:
            found = await credentials_store.get(conn, new.credential_id)
            if found is None or found.client_id != client_id:
                raise Invalid(N_("Please choose a key or password of this client."), field="credential_id")

    # keys

    async def saw(self, machine_id: int, algorithm: str, public_key: bytes) -> None:
        """The device showed this key, which is not the trusted one: it waits for a member's decision."""
        async with self._db.transaction() as conn:
            device = await _existing(conn, machine_id)
            if await store.see(conn, machine_id, algorithm, public_key):
                details = {"algorithm": algorithm, "key": public_key.hex()[:1000]}
                await _tell(conn, device, "key_seen", Actor.agent(machine_id), details)

    async def confirm(self, member: Member, machine_id: int, key_id: int) -> HostKey:
        """Believe a key. The first one: any member. A change: another member than who proposed it.

        Raises Conflict (somebody decided first, or it was not proposed), Forbidden (the same member).
        """
        async with self._db.transaction() as conn:
            device, key = await _existing(conn, machine_id), await _open_key(conn, machine_id, key_id)
            before = await store.trusted(conn, machine_id)
            _check_decision(key, before, member)
            try:
                trusted = await store.trust(conn, key, member.id)
            except psycopg.errors.UniqueViolation:
                raise Conflict(MOVED_ON) from None
            if not trusted:
                raise Conflict(MOVED_ON)
            details = {
                "key": key.fingerprint, "before": before.fingerprint if before else None,
                "proposed_by": key.proposed_by, "reason": key.reason,
            }  # fmt: skip
            await _tell(conn, device, "key_trusted", Actor.member(member.id), details)
        return key

    async def propose(self, member: Member, machine_id: int, key_id: int, reason: str) -> None:
        """Say that the device was replaced (or its key made anew), and why; another member confirms it."""
        reason = " ".join(reason.split())
        if not REASON[0] <= len(reason) <= REASON[1]:
            raise Invalid(N_("Say in a sentence why the device shows another key."), field="reason")
        async with self._db.transaction() as conn:
            device, key = await _existing(conn, machine_id), await _open_key(conn, machine_id, key_id)
            if await store.trusted(conn, machine_id) is None or not await store.propose(
                conn, key_id, member.id, reason
            ):
                raise Conflict(MOVED_ON)
            details = {"key": key.fingerprint, "reason": reason}
            await _tell(conn, device, "key_proposed", Actor.member(member.id), details)

    async def reject(self, member: Member, machine_id: int, key_id: int) -> None:
        """Do not believe a key: whoever shows it is not the device. Raises Conflict."""
        async with self._db.transaction() as conn:
            device, key = await _existing(conn, machine_id), await _open_key(conn, machine_id, key_id)
            if not await store.decide(conn, key, member.id, HostKeyState.REJECTED):
                raise Conflict(MOVED_ON)
            details = {"key": key.fingerprint}
            await _tell(conn, device, "key_rejected", Actor.member(member.id), details)

    # what a connection found out

    async def answered(self, machine_id: int) -> None:
        async with self._db.transaction() as conn:
            await store.answered(conn, machine_id)

    async def troubled(self, machine_id: int, word: str) -> None:
        async with self._db.transaction() as conn:
            if await store.troubled(conn, machine_id, word):
                await events.publish(conn, f"machine:{machine_id}", "device")


def _check_decision(key: HostKey, before: HostKey | None, member: Member) -> None:
    if before is None:
        return
    if key.state is not HostKeyState.PROPOSED:
        raise Conflict(N_("A changed key is proposed by one member and confirmed by another."))
    if key.proposed_by == member.id:
        raise Forbidden(N_("You proposed this key: another member confirms it."))


def _columns(new: NewDevice) -> dict[str, Any]:
    """Raises Invalid."""
    if not is_host(new.host):
        raise Invalid(N_("Please give a host name or an address, without a port."), field="host")
    if not is_username(new.username):
        raise Invalid(N_("Please give the account's name on the device."), field="username")
    return {
        "kind": new.kind, "host": new.host, "port": new.port, "username": new.username, "notes": new.notes,
        "via_machine_id": new.via_machine_id, "credential_id": new.credential_id,
    }  # fmt: skip


async def _existing(conn: Connection, machine_id: int) -> Device:
    device = await store.get(conn, machine_id)
    if device is None:
        raise NotFound(N_("There is no such device."))
    return device


async def _open_key(conn: Connection, machine_id: int, key_id: int) -> HostKey:
    """A key that waits for a decision. Raises Conflict."""
    waiting = {HostKeyState.SEEN, HostKeyState.PROPOSED}
    found = next((key for key in await store.keys(conn, machine_id) if key.id == key_id), None)
    if found is None or found.state not in waiting:
        raise Conflict(MOVED_ON)
    return found


async def _tell(conn: Connection, device: Device, verb: str, actor: Actor, details: Mapping[str, Any]) -> None:
    machine_id = device.machine_id
    member_id = int(actor.name.partition(":")[2]) if actor.name.startswith("member:") else None
    detail = str(details.get("reason") or "")
    await machine_store.add_event(
        conn, machine_id, f"device_{verb}", member_id=member_id, subject=device.name, detail=detail
    )
    for topic in (f"machine:{machine_id}", f"client:{device.client_id}", "machines:all"):
        await events.publish(conn, topic, "device")
    await audit.record(
        conn, actor=actor, action=f"device.{verb}", subject=f"machine:{machine_id}", details=dict(details)
    )

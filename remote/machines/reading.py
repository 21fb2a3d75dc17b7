"""What is read about machines; nothing here changes anything."""

from __future__ import annotations

from compagnon.db import Connection, Database
from compagnon.errors import NotFound
from compagnon.i18n import N_
from remote.machines import drift_store, search_store, store
from remote.machines.facts import Facts
from remote.machines.model import CheckState, Machine, MachineEvent, MachineFilter, Reported


class Reading:
    """Part of :class:`remote.machines.service.Machines`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, machine_id: int) -> Machine:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            return await existing(conn, machine_id)

    async def find(self, machine_id: int) -> Machine | None:
        async with self._db.connection() as conn:
            return await store.get(conn, machine_id)

    async def found_by(self, reader: int, machine_id: int) -> Machine | None:
        """The machine, where the search shows it to this member; None for one that was turned away."""
        async with self._db.connection() as conn:
            readable = await search_store.readable(conn, reader, machine_id)
            return await store.get(conn, machine_id) if readable else None

    async def by_key(self, public_key: bytes) -> Machine | None:
        async with self._db.connection() as conn:
            return await store.by_key(conn, public_key)

    async def for_client(self, client_id: int) -> list[Machine]:
        """The client's machines that are not revoked, by name."""
        async with self._db.connection() as conn:
            return await store.for_client(conn, client_id)

    async def listed(self, wanted: MachineFilter) -> list[Machine]:
        async with self._db.connection() as conn:
            return await store.listed(conn, wanted)

    async def counts(self) -> dict[str, int]:
        """approved, pending, drifting, offline."""
        async with self._db.connection() as conn:
            return await store.counts(conn)

    async def reported(self, machine_id: int) -> tuple[Facts, Reported]:
        async with self._db.connection() as conn:
            found = await store.reported(conn, machine_id)
        if found is None:
            raise NotFound(N_("There is no such machine."))
        return Facts.read(found.facts), found

    async def checks(self, machine_id: int) -> list[CheckState]:
        """The latest result of each check of the declared environment, in its order."""
        async with self._db.connection() as conn:
            return await drift_store.states(conn, machine_id)

    async def failing_checks(self, machine_id: int) -> list[tuple[str, str | None]]:
        """Label and repairing procedure's code of each failing check that is not waived."""
        return [(state.label, state.procedure_code) for state in await self.checks(machine_id) if state.failing]

    async def history(self, machine_id: int, limit: int = 50) -> list[MachineEvent]:
        """What was done and met, without what changed by itself."""
        async with self._db.connection() as conn:
            return await store.events(conn, machine_id, limit, facts=False)

    async def changes(self, machine_id: int, limit: int = 15) -> list[MachineEvent]:
        """What changed from one report of the facts to the next, newest first."""
        async with self._db.connection() as conn:
            return await store.events(conn, machine_id, limit, facts=True)


async def existing(conn: Connection, machine_id: int) -> Machine:
    """Raises NotFound."""
    machine = await store.get(conn, machine_id)
    if machine is None:
        raise NotFound(N_("There is no such machine."))
    return machine

"""Write the next version of a client's proposal, show it at a machine, and see what holds where.

Nothing here decides anything on a machine: a proposal is shown there, and the answer and its keeping are the agent's.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import uuid
from collections.abc import Mapping, Sequence

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import Conflict, Invalid, NotFound, Unavailable
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.agreements import Proposal, Terms, check, digest
from compagnon_agent.protocol.wire import WireError
from remote.control.link import AgentLink
from remote.machines.model import Machine, MachineState
from remote.policies import store
from remote.policies.model import NAME, Holding, MachinePolicy, PolicyVersion, holding

log = logging.getLogger(__name__)


class Policies:
    def __init__(self, kernel: Kernel, link: AgentLink) -> None:
        self._db = kernel.db
        self._settings = kernel.settings
        self._directory = kernel.directory
        self._link = link
        self._asking: dict[int, asyncio.Task[None]] = {}

    async def versions(self, client_id: int) -> Sequence[PolicyVersion]:
        """Newest first."""
        async with self._db.connection() as conn:
            return await store.versions(conn, client_id)

    async def machines(self, client_id: int) -> Sequence[MachinePolicy]:
        """What each approved machine of the client says holds there."""
        async with self._db.connection() as conn:
            known = {version.digest: version.version for version in await store.versions(conn, client_id)}
            rows = await store.machines(conn, client_id)
        newest = max(known.values(), default=0)
        found = []
        for machine_id, name, online, told in rows:
            held = holding(told, known)
            latest = held is not None and held.version == newest
            found.append(MachinePolicy(machine_id=machine_id, name=name, online=online, holding=held, latest=latest))
        return found

    async def held_by(self, machine: Machine, told: object) -> Holding | None:
        """What holds on one machine, for its page; ``told`` is the ``agreement`` of its policy report."""
        if not isinstance(told, dict):
            return None
        known = {version.digest: version.version for version in await self.versions(machine.client_id)}
        return holding(told, known)

    async def write(self, member: Member, client_id: int, terms: Terms, *, after: int) -> int:
        """The next version; ``after`` is the one that the writer saw (0: none). It is shown at no machine yet.

        Raises Invalid (it says nothing, or what cannot be agreed to), Conflict (somebody wrote another one), NotFound.
        """
        try:
            check(terms)
        except WireError:
            raise Invalid(
                N_("List what is granted, or nothing where every request is asked."), field="policy"
            ) from None
        client = await self._directory.get(client_id)
        proposal = Proposal(client=client.name[:NAME], version=after + 1, terms=terms)
        values: dict[str, object] = {
            "client_id": client_id,
            "version": proposal.version,
            "attendance": terms.attendance,
            "capabilities": list(terms.capabilities),
            "procedures": terms.procedures,
            "hours": terms.hours,
            "days": terms.days,
            "words": terms.words,
            "client_name": proposal.client,
            "digest": digest(proposal),
            "member_id": member.id,
        }
        async with self._db.transaction() as conn:
            newest = max((found.version for found in await store.versions(conn, client_id)), default=0)
            if newest != after or not await store.add(conn, values):
                raise Conflict(N_("Somebody wrote another version meanwhile: read it first."))
            await audit.record(
                conn,
                actor=Actor.member(member.id),
                action="policy.written",
                subject=f"client:{client_id}",
                details={name: value for name, value in values.items() if name not in ("client_id", "member_id")},
            )
        return proposal.version

    async def propose(self, member: Member, machine_id: int, version: int) -> None:
        """Show a version at the machine and return at once: its page shows the code, then what holds.

        Raises NotFound, Conflict (not approved, or being asked already), Unavailable (offline).
        """
        machine = await self._link.machines.get(machine_id)
        found = next((one for one in await self.versions(machine.client_id) if one.version == version), None)
        if found is None:
            raise NotFound(N_("There is no such version."))
        if machine.state is not MachineState.APPROVED:
            raise Conflict(N_("This machine is not approved."))
        if not self._link.online(machine_id):
            raise Unavailable(N_("This machine is offline."))
        if machine_id in self._asking:
            raise Conflict(N_("This machine is being asked already."))
        task = asyncio.create_task(self._ask(member, machine, found), name=f"policy {machine_id}")
        self._asking[machine_id] = task
        task.add_done_callback(lambda _: self._asking.pop(machine_id, None))

    async def _ask(self, member: Member, machine: Machine, version: PolicyVersion) -> None:
        try:
            await self._record(Actor.member(member.id), machine, "policy.proposed", version, {})
            answer = await self._link.ask_policy(machine.id, self._question(member, version))
            details = {"source": answer.source.value, "person": answer.person, "reason": answer.reason}
            action = "policy.accepted" if answer.accepted else "policy.refused"
            await self._record(Actor.agent(machine.id), machine, action, version, details)
        except Unavailable as error:
            await self._record(Actor.system(), machine, "policy.unanswered", version, {"reason": str(error)})
        except Exception:
            log.exception("machine %s could not be asked about a policy", machine.id)

    async def _record(
        self, actor: Actor, machine: Machine, action: str, version: PolicyVersion, details: Mapping[str, object]
    ) -> None:
        about = {"client": machine.client_id, "version": version.version, "digest": version.digest, **details}
        async with self._db.transaction() as conn:
            await events.publish(conn, f"machine:{machine.id}", "policy")
            await audit.record(conn, actor=actor, action=action, subject=f"machine:{machine.id}", details=about)

    def _question(self, member: Member, version: PolicyVersion) -> messages.PolicyProposal:
        return messages.PolicyProposal(
            request_id=str(uuid.uuid4()),
            proposal=version.proposal,
            member_id=member.id,
            member_name=member.name[:120],
            short_code=f"{secrets.randbelow(10_000):04d}",
            wait=max(self._settings.consent_seconds, 180),
            cooperative=self._settings.cooperative[:120],
            locale=self._settings.default_locale,
        )

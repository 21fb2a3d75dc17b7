"""Install the agent on a device over SSH: in a recorded terminal that everybody in the session sees.

What runs there is the server's own installer (``remote.releases.installers``) with a fresh code. It names the digest of
the agent that it fetches, and comes over a connection whose key members confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import Conflict
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from remote.machines import store as machine_store
from remote.machines.service import Machines
from remote.releases.installers import shell_script
from remote.sessions.model import Session
from remote.sessions.service import Sessions
from remote.ssh.agents import DeviceAgents
from remote.ssh.consents import Asked, Consents
from remote.ssh.model import Device, DeviceKind, How
from remote.ssh.running import shell_argv

# As root where the account may become it (sudo asks for its password in the terminal), else for the account alone.
AS_ROOT = """
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null 2>&1 && sudo -v; then exec sudo -- sh -c "$1" install "$2"; fi
exec sh -c "$1" install "$2"
"""
CARRIES_NONE = N_("Only servers and NAS can carry an agent.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    kernel: Kernel
    machines: Machines
    sessions: Sessions
    consents: Consents
    agents: DeviceAgents

    async def install(
        self, member: Member, device: Device, ticket_id: int, reason: str, *, how: How, person: str
    ) -> Session:
        """The terminal in which the installer runs; it ends with it. The new machine then waits for its approval.

        Raises what opening a session and writing a consent down raise; Conflict for network gear.
        """
        if device.kind not in {DeviceKind.SERVER, DeviceKind.NAS}:
            raise Conflict(CARRIES_NONE)
        machine = await self.machines.get(device.machine_id)
        session = await self.sessions.open(device.machine_id, ticket_id, reason, member)
        offer = await self.machines.offer(
            member, device.client_id, site_id=machine.site_id, environment=machine.environment
        )
        script = shell_script(self.kernel.settings.public_url)
        await self.agents.prepare(session.id, [*shell_argv(AS_ROOT), "install", script, offer.code])
        await self._note(member, device, session)
        asked = Asked(machine_id=device.machine_id, ticket_id=ticket_id, session_id=session.id)
        await self.consents.record(member, asked, how=how, person=person)
        return session

    async def _note(self, member: Member, device: Device, session: Session) -> None:
        subject, details = f"machine:{device.machine_id}", {"session": session.id}
        async with self.kernel.db.transaction() as conn:
            await machine_store.add_event(conn, device.machine_id, "device_agent", member_id=member.id)
            await events.publish(conn, subject, "device")
            await audit.record(
                conn,
                actor=Actor.member(member.id),
                action="device.agent_install_begun",
                subject=subject,
                details=details,
            )

"""What agents ask and tell about releases, on their control connection."""

from __future__ import annotations

import contextlib

from compagnon.errors import Unavailable
from compagnon_agent.protocol.releases import ReleaseQuery, ReleaseReport
from remote.control.link import AgentLink
from remote.machines.model import Machine
from remote.releases.service import Releases


def listen_for_releases(link: AgentLink, releases: Releases) -> None:
    async def asked(machine: Machine, message: ReleaseQuery) -> None:
        offer = await releases.offer(machine.id, message.counter)
        if offer is not None:
            with contextlib.suppress(Unavailable):  # it went away; it will ask again
                await link.tell(machine.id, offer)

    async def told(machine: Machine, message: ReleaseReport) -> None:
        await releases.reported(machine, message)

    link.release_key = releases.key
    link.handle(ReleaseQuery, asked)
    link.handle(ReleaseReport, told)

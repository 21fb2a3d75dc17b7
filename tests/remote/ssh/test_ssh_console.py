"""A device's pages in a real browser: its page, key, settings, terminal and files."""

from __future__ import annotations

import pytest
from console_parts import LOOKS, visitor
from remote_parts import until

from remote.ssh.consents import Asked
from remote.ssh.model import How


@pytest.mark.browser
async def test_the_pages_of_a_device(server, cast, ssh, known, ticket, browser, client_for):
    sessions, paths = server.services.remote.sessions, [f"/machines/{known.machine_id}"]
    paths += [f"/devices/{known.machine_id}/edit", f"/clients/{known.client_id}/access"]
    for capability in ("terminal", "files"):
        session = await sessions.open(known.machine_id, ticket, "Regarder", cast.alice, capability=capability)
        await until(lambda: server.services.remote.link.consents(known.machine_id))
        asked = Asked(machine_id=known.machine_id, ticket_id=ticket, session_id=session.id)
        await ssh.consents.record(cast.alice, asked, how=How.PHONE, person="Mme Le Goff")

        def attached(session=session):
            room = sessions._rooms.get(session.id)
            return room is not None and room.connected

        await until(attached)
        paths.append(f"/sessions/{session.id}")
    alice = await client_for(cast.alice)
    trouble = []
    for scheme, width, height in LOOKS:
        async with visitor(browser, server, alice, scheme=scheme, width=width, height=height) as one:
            for path in paths:
                await one.visit(path, settle=900)
                if wide := await one.too_wide():
                    one.trouble.append(f"{path}: {wide} px too wide")
            trouble += [f"{scheme} {width}: {line}" for line in one.trouble]
    assert trouble == []

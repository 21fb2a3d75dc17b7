"""A chat where nobody can be written with."""

from __future__ import annotations

from remote_parts import until

from remote.sessions.model import EndReason


async def test_nobody_at_the_machine_is_said_at_once(server, cast, agent, ticket):
    opened = await server.services.remote.sessions.open(
        agent.machine_id, ticket, "Vous écrire", cast.alice, capability="chat"
    )
    sessions = server.services.remote.sessions

    async def over():
        return (await sessions.get(opened.id)).end_reason is EndReason.REFUSED

    await until(over)

"""The smallest whole path: a real agent on a real server is seen online, and its facts arrive."""

import asyncio

from wired_fixtures import AgentProcess, RunningServer


async def test_an_enrolled_agent_is_seen_online_with_its_facts(server: RunningServer, agent: AgentProcess) -> None:
    machines = server.services.remote.machines
    async with asyncio.timeout(20):
        while not (await machines.get(agent.machine_id)).online:
            await asyncio.sleep(0.1)
        while not (await machines.reported(agent.machine_id))[1].facts:
            await asyncio.sleep(0.1)
    facts, _ = await machines.reported(agent.machine_id)
    assert "Linux" in (await machines.get(agent.machine_id)).os or facts

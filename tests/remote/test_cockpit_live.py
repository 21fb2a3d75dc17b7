"""A machine's page as a cockpit: its load while somebody looks, who looks, what changed, a key for each thing."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

from page_parts import holds
from remote_parts import is_open, signed_in, until

from compagnon_agent.protocol import messages


def audited(agent, kind):
    lines = [json.loads(line) for line in (agent.folder / "audit.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == "decision" and line["details"].get("kind") == kind]


async def test_the_load_is_told_while_somebody_looks_and_no_longer(server, cast, agent, client_for):
    alice, loads = await client_for(cast.alice), server.services.remote.desk.loads

    async def shown():
        return "<polyline" in (await alice.get(f"/machines/{agent.machine_id}/load")).text

    await until(shown, what="figures arrive")
    assert len(audited(agent, "load")) == 1, "written down when it begins, not each time"
    machine = await server.services.remote.machines.get(agent.machine_id)
    async with server.services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE machine_watchers SET seen_at = now() - interval '1 minute'")
        await conn.execute("DELETE FROM machine_loads")
    await loads._told(machine, messages.Load(at=datetime.now(UTC), cpu=1, memory=1))
    async with server.services.kernel.db.connection() as conn:
        row = await (await conn.execute("SELECT count(*) FROM machine_loads")).fetchone()
    assert row == (0,), "what nobody looks at is not kept"


async def test_who_else_looks_is_shown(server, cast, agent, client_for):
    alice, bruno = await client_for(cast.alice), await client_for(cast.bruno)
    await alice.get(f"/machines/{agent.machine_id}/load")
    assert cast.alice.name in (await bruno.get(f"/machines/{agent.machine_id}/load")).text
    assert cast.bruno.name in (await alice.get(f"/machines/{agent.machine_id}/load")).text
    assert cast.alice.name not in (await alice.get(f"/machines/{agent.machine_id}/load")).text


async def test_an_agent_that_keeps_its_load_to_itself_is_not_asked(server, cast, agent, client_for):
    agent.policy('mode = "unattended-demo"\nload = false\n')
    machines = server.services.remote.machines

    async def told():
        return "load" not in (await machines.reported(agent.machine_id))[1].policy.get("sheet", ["load"])

    await until(told, what="the new policy is known")
    alice = await client_for(cast.alice)
    await alice.get(f"/machines/{agent.machine_id}/load")
    await asyncio.sleep(0.3)
    assert audited(agent, "load") == []


async def test_what_changed_is_on_the_page_escaped(server, cast, agent, client_for):
    machines = server.services.remote.machines
    machine = await machines.get(agent.machine_id)
    at = datetime.now(UTC) + timedelta(days=1)
    async with server.services.kernel.db.transaction() as conn:
        await machines.keep_facts(conn, machine, {"hostname": "a", "os": {"name": "Debian", "version": "12"}}, at)
    later = {"hostname": "<b>new</b>", "os": {"name": "Debian", "version": "13"}}
    async with server.services.kernel.db.transaction() as conn:
        await machines.keep_facts(conn, machine, later, at + timedelta(minutes=1))
        await machines.keep_facts(conn, machine, {"hostname": "old", "os": {"name": "x"}}, at)  # came too late
    kinds = [event.kind for event in await machines.changes(agent.machine_id)]
    assert kinds[:2] == ["fact_hostname", "fact_os"]
    page = (await (await client_for(cast.alice)).get(f"/machines/{agent.machine_id}")).text
    assert "a → &lt;b&gt;new&lt;/b&gt;" in page
    assert "fact_" not in " ".join(event.kind for event in await machines.history(agent.machine_id))


async def test_one_key_asks_for_a_capability_and_finds_it_again(server, cast, agent, ticket, browser, client_for):
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    address = f"{server.url}/machines/{agent.machine_id}?ticket={ticket}"
    await page.goto(address)
    assert await page.input_value("#terminal-reason") == "Rien ne s'imprime"
    await page.locator("#terminal-reason").focus()
    await page.keyboard.press("End")
    await page.keyboard.type("p")
    assert page.url == address, "a letter in a field is a letter"
    await page.keyboard.press("Backspace")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("p")
    await page.wait_for_url("**/sessions/*")
    opened = page.url.rsplit("/", 1)[1]
    await until(lambda: is_open(server, opened), what="the session is open")
    await page.goto(address)
    await page.keyboard.press("p")
    await page.wait_for_url(f"**/sessions/{opened}")
    assert trouble == []


async def test_several_tickets_must_be_chosen_from(server, cast, agent, ticket, client, browser, client_for):
    from tickets.desk.model import NewTicket

    await server.services.tickets.desk.open(
        NewTicket(client_id=client.id, title="Autre chose", owner_id=cast.alice.id), cast.alice
    )
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/machines/{agent.machine_id}")
    await page.keyboard.press("t")
    assert await page.evaluate("document.activeElement.id") == "terminal-ticket"
    await page.select_option("#terminal-ticket", str(ticket))
    filled = "(title) => document.querySelector('#terminal-reason').value === title"
    await holds(page, filled, arg="Rien ne s'imprime")
    assert trouble == []

from __future__ import annotations

from compagnon.web.audit_pages import link


async def test_administrators_read_who_did_what(client_of, people) -> None:
    client = await client_of(people.ada)
    page = await client.get("/audit")
    assert "member.created" in page.text
    assert f'href="/members/{people.alice.id}"' in page.text
    filtered = await client.get(f"/audit?subject=member:{people.alice.id}")
    assert f'href="/members/{people.chloe.id}">member' not in filtered.text
    assert "Rien n’est noté à ce sujet" in (await client.get("/audit?subject=ticket:9")).text


async def test_the_chain_is_verified_on_demand(client_of, people, db) -> None:
    client = await client_of(people.ada)
    await client.post("/audit/verify")
    assert "Le journal est intact" in (await client.get("/audit")).text
    async with db.connection() as conn:
        await conn.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
        await conn.execute("UPDATE audit_log SET action = 'member.forged' WHERE seq = 2")
    await client.post("/audit/verify")
    assert "rompu à la ligne 2" in (await client.get("/audit")).text


async def test_nobody_else_reads_it(client_of, people) -> None:
    assert (await (await client_of(people.chloe)).get("/audit")).status_code == 403


def test_subjects_lead_to_their_pages_only() -> None:
    assert link("ticket:12") == "/tickets/12"
    assert link("demo:data") == ""
    assert link("ticket:../members") == ""
    assert link("system") == ""

"""An agent's own record: growth is believed once it is shown, whatever was cut or rewritten is said, once."""

from __future__ import annotations

import asyncio
import shutil
import uuid

import pytest
from remote_parts import soon

from compagnon.errors import Conflict, Forbidden, Invalid
from compagnon_agent import audit
from compagnon_agent.audit import AUDIT_FILE, AuditLog
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.wire import loads
from remote.machines.model import KnownRecord, RecordChange, now, record_change

KNOWN = KnownRecord(number=5, head="a" * 64, told_at=now(), claimed_number=None, claimed_head=None, claimed_at=None)


def test_what_a_record_has_become():
    assert record_change(KNOWN, "a" * 64, gone=False) is None
    assert record_change(KNOWN, "", gone=True) is None
    assert record_change(KNOWN, "", gone=False) is RecordChange.CUT
    assert record_change(KNOWN, "b" * 64, gone=True) is RecordChange.REWRITTEN


async def row(server, machine_id):
    query = "SELECT number, head, claimed_number, broken FROM machine_records WHERE machine_id = %s"
    async with server.services.kernel.db.connection() as conn:
        return await (await conn.execute(query, [machine_id])).fetchone()


async def written(server, machine_id, table):
    """What the history (or the audit log) says about the record, oldest first."""
    queries = {
        "history": "SELECT kind FROM machine_events WHERE machine_id = %s AND kind LIKE 'record%%' ORDER BY id",
        "audit": "SELECT action FROM audit_log WHERE subject = 'machine:' || %s AND action LIKE 'machine.record%%'"
        " ORDER BY seq",
    }
    async with server.services.kernel.db.connection() as conn:
        return [found[0] for found in await (await conn.execute(queries[table], [machine_id])).fetchall()]


def end_of(agent):
    head, number = audit._end(agent.folder / AUDIT_FILE)
    return number, head


@pytest.fixture
def surroundings():
    return {"COMPAGNON_AGENT_FACTS_EVERY": "2"}


@pytest.fixture
async def known(server, agent):
    """The server knows the end of the agent's record as it is."""

    async def told():
        found = await row(server, agent.machine_id)
        return found is not None and found[:2] == end_of(agent)

    async def start_and_wait():
        if agent.process is None or agent.process.returncode is not None:
            await agent.start()
        await soon(told, what="the end of the record is known")

    await agent.stop()
    AuditLog(agent.folder).record("test", {"so": "that there is one"})
    await start_and_wait()
    return start_and_wait


async def grow(agent, lines=3):
    await agent.stop()
    log = AuditLog(agent.folder)
    for number in range(lines):
        log.record("decision", {"number": number})


async def quiet(server, agent):
    assert (await row(server, agent.machine_id))[3] is None
    assert await written(server, agent.machine_id, "history") == []
    assert await written(server, agent.machine_id, "audit") == []


async def test_growth_is_shown_and_alarms_nobody(server, cast, agent, known, client_for):
    for lines in (1, 40, 3):
        await grow(agent, lines)
        before = await row(server, agent.machine_id)
        await known()
        assert (await row(server, agent.machine_id))[0] == before[0] + lines
        assert (await row(server, agent.machine_id))[2] is None
    await agent.stop()
    await known()  # nothing new
    await quiet(server, agent)
    ada = await client_for(cast.ada)
    assert "broken-record" not in (await ada.get(f"/machines/{agent.machine_id}")).text
    assert "dashboard-machines" not in (await ada.get("/")).text


async def test_a_live_session_grows_it(server, agent, known, session):
    await server.services.remote.sessions.end_for_machine(agent.machine_id)
    await soon(lambda: '"session.end"' in (agent.folder / AUDIT_FILE).read_text())
    await agent.stop()
    await known()
    await quiet(server, agent)


async def test_files_that_changed_over_meanwhile_alarm_nobody(server, agent, known, monkeypatch):
    monkeypatch.setattr(audit, "FULL", 1500)
    await grow(agent, 12)
    await known()
    await grow(agent, 60)  # what was told is not kept any more
    await known()
    await quiet(server, agent)


async def test_put_back_from_a_backup(server, cast, agent, known, client_for, tmp_path):
    await agent.stop()
    shutil.copytree(agent.folder, tmp_path / "backup", ignore=shutil.ignore_patterns("*.sock", "*.lock"))
    await grow(agent, 5)
    await known()
    before = await row(server, agent.machine_id)
    await agent.stop()
    for name in ("audit.jsonl", "agent.db", "agent.db-wal", "agent.db-shm"):
        (agent.folder / name).unlink(missing_ok=True)
        if (tmp_path / "backup" / name).exists():
            shutil.copy2(tmp_path / "backup" / name, agent.folder / name)
    assert end_of(agent)[0] < before[0]
    await agent.start()
    await soon(lambda: _is(server, agent, "cut"), what="it is noticed")
    assert await written(server, agent.machine_id, "history") == ["record_cut"]
    assert await written(server, agent.machine_id, "audit") == ["machine.record_cut"]
    await grow(agent, 2)
    await known()  # it goes on from there
    await agent.stop()
    await known()
    assert await written(server, agent.machine_id, "audit") == ["machine.record_cut"], "said once"
    alice, ada = await client_for(cast.alice), await client_for(cast.ada)
    page = (await alice.get(f"/machines/{agent.machine_id}")).text
    assert "a été coupé ou remis en arrière après" in page
    assert "disque restauré" in page
    assert f"/machines/{agent.machine_id}/record" not in page, "an administrator says what it was"
    assert "dashboard-machines" not in (await alice.get("/")).text
    assert "coupé" in (await ada.get("/")).text.partition("dashboard-machines")[2]


async def _is(server, agent, kind):
    return (await row(server, agent.machine_id))[3] == kind


async def test_cut_and_grown_beyond_what_was_told(server, agent, known):
    await grow(agent, 6)
    await known()
    told = (await row(server, agent.machine_id))[0]
    await agent.stop()
    path = agent.folder / AUDIT_FILE
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-4]))
    await grow(agent, 9)
    assert end_of(agent)[0] == told + 5
    assert audit.verify(agent.folder)[1] is None, "by itself the record looks whole"
    await agent.start()
    await soon(lambda: _is(server, agent, "rewritten"), what="the agent cannot show what it told")
    await known()
    assert await written(server, agent.machine_id, "history") == ["record_rewritten"]


async def test_the_same_number_with_another_line(server, agent, known):
    await grow(agent, 3)
    await known()
    await agent.stop()
    path = agent.folder / AUDIT_FILE
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    AuditLog(agent.folder).record("decision", {"another": "story"})
    await agent.start()
    await soon(lambda: _is(server, agent, "rewritten"))


async def test_taken_away_altogether(server, agent, known):
    await agent.stop()
    (agent.folder / AUDIT_FILE).unlink()
    AuditLog(agent.folder).record("decision", {})
    await agent.start()

    async def noticed():
        return (await row(server, agent.machine_id))[3]

    await soon(noticed)


async def test_emptied_before_anything_new_is_written(server, agent, known):
    await agent.stop()
    (agent.folder / AUDIT_FILE).unlink()
    await agent.start()
    await soon(lambda: _is(server, agent, "cut"))
    await grow(agent, 2)
    await known()
    assert len(await written(server, agent.machine_id, "audit")) == 1


async def test_an_administrator_says_what_it_was(server, cast, agent, known, client_for):
    records, machines = server.services.remote.desk.records, server.services.remote.machines
    machine = await machines.get(agent.machine_id)
    with pytest.raises(Conflict):
        await records.look_into(cast.ada, machine, "rien à dire")
    await agent.stop()
    (agent.folder / AUDIT_FILE).unlink()
    AuditLog(agent.folder).record("decision", {})
    await agent.start()
    await soon(lambda: _broken(records, machine.id))
    with pytest.raises(Forbidden):
        await records.look_into(cast.alice, machine, "disque restauré")
    with pytest.raises(Invalid):
        await records.look_into(cast.ada, machine, " a ")
    alice, ada = await client_for(cast.alice), await client_for(cast.ada)
    assert (await alice.post(f"/machines/{machine.id}/record", data={"note": "moi"})).status_code == 403
    answer = await ada.post(f"/machines/{machine.id}/record", data={"note": "Disque restauré de lundi"})
    assert answer.status_code == 303
    page = (await ada.get(f"/machines/{machine.id}")).text
    assert "broken-record" not in page
    assert "Disque restauré de lundi" in page
    assert (await written(server, machine.id, "audit"))[1:] == ["machine.record_explained"]
    await agent.stop()
    (agent.folder / AUDIT_FILE).unlink()
    await agent.start()
    await soon(lambda: _broken(records, machine.id), what="another time is another alarm")


async def _broken(records, machine_id):
    return await records.broken(machine_id) is not None


# -- what a hostile agent, an old one, or several connections may say


@pytest.fixture
def said(server, intruder):
    """``await said(number, head)``: the hostile machine tells the end of its record."""

    async def say(number, head):
        await server.services.remote.link.received(intruder, messages.AuditHead(head=head, number=number))

    return say


@pytest.fixture
def shows(server, intruder):
    """``await shows(number, hash)``: it says what its record holds under that number."""

    async def show(number, hash_="", *, gone=False):
        await server.services.remote.link.received(intruder, messages.AuditLine(number=number, hash=hash_, gone=gone))

    return show


def asked(intruder):
    found = [messages.decode(text) for text in intruder.wire.heard if text]
    return [message.number for message in found if isinstance(message, messages.AuditQuery)]


A, B, C = "a" * 64, "b" * 64, "c" * 64


async def test_an_agent_that_does_not_count_alarms_nobody(server, said, intruder):
    link = server.services.remote.link
    told = loads(messages.encode(messages.AuditHead(head=A)), limit=2**20)
    await link.received(intruder, messages.Queued(queue=str(uuid.uuid4()), number=1, age=0, message=told))
    assert (await link.machines.reported(intruder.machine.id))[1].audit_head == A
    await said(0, B)
    assert await row(server, intruder.machine.id) is None
    await said(4, C)
    await said(0, B)  # back to an older version
    await said(4, C)
    assert await row(server, intruder.machine.id) == (4, C, None, None)
    assert asked(intruder) == []


async def test_answers_that_nobody_asked_for_do_nothing(server, said, shows, intruder):
    machine_id = intruder.machine.id
    await shows(3, A)
    assert await row(server, machine_id) is None
    await said(3, A)
    await shows(3, B)
    assert await row(server, machine_id) == (3, A, None, None)
    await said(9, B)
    await soon(lambda: asked(intruder) == [3])
    assert await row(server, machine_id) == (3, A, 9, None), "not believed yet"
    for number in (2, 9, 10**15):
        await shows(number, B)
    assert (await row(server, machine_id))[3] is None
    await shows(3, A)
    assert await row(server, machine_id) == (9, B, None, None)


async def test_growth_that_is_never_shown_is_never_believed(server, said, shows, intruder):
    await said(3, A)
    for number in range(4, 9):
        await said(number, B)
    assert await row(server, intruder.machine.id) == (3, A, 8, None)
    await shows(3, C)
    assert await row(server, intruder.machine.id) == (8, B, None, "rewritten")


async def test_what_comes_late_is_no_alarm(server, said, shows, intruder):
    """Told on a connection that was cut, dealt with after what was told on the next one."""
    await said(3, A)
    await said(7, B)
    await shows(3, A)
    for number, head in ((5, C), (3, A)):
        await said(number, head)
        await shows(7, B)
        assert await row(server, intruder.machine.id) == (7, B, None, None)
    assert await written(server, intruder.machine.id, "history") == []


async def test_a_flood_of_other_records_is_said_once(server, said, shows, intruder):
    await said(50, A)
    for number in range(49, 29, -1):
        before = (await row(server, intruder.machine.id))[0]
        await said(number, B)
        await shows(before)
    assert await written(server, intruder.machine.id, "history") == ["record_cut"]
    assert await written(server, intruder.machine.id, "audit") == ["machine.record_cut"]


async def test_many_at_once_are_dealt_with_one_after_the_other(server, said, shows, intruder):
    """Two agents with the same key (a copied disk) tell different records at the same moment."""
    await said(10, A)
    await asyncio.gather(*(said(number, B) for number in range(5, 16)), *(said(10, A) for _ in range(6)))
    await asyncio.gather(*(shows(10, C) for _ in range(8)), *(said(10, A) for _ in range(3)))
    await said(11, C)
    await shows((await row(server, intruder.machine.id))[0], "d" * 64)
    assert (await row(server, intruder.machine.id))[3] in {"cut", "rewritten"}
    assert len(await written(server, intruder.machine.id, "audit")) == 1


async def test_the_same_growth_told_and_shown_by_two_connections(server, said, shows, intruder):
    await said(10, A)
    await asyncio.gather(*(said(20, B) for _ in range(3)), said(21, C))
    await asyncio.gather(*(shows(10, A) for _ in range(5)))
    known = await row(server, intruder.machine.id)
    assert known in ((20, B, None, None), (21, C, None, None))

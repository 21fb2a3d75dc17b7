"""Machines by everything they are called, recordings by what stood on the terminal and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from compagnon.audit import Actor
from kb.search.highlight import plain
from kb.search.records import MAX_TEXT, record_query, tsvector_text
from remote.machines.facts import Facts
from remote.machines.search import MachineRecords, terms
from remote.recordings.recorder import Recorder
from remote.recordings.search import RecordingRecords
from remote.recordings.text import Transcript
from tickets.desk.model import NewTicket

SESSION = "a" * 32
MACHINE = """
INSERT INTO machines (name, client_id, public_key, hostname, os, agent_version, state, approved_at, facts)
VALUES (%s, %s, decode(md5(%s) || md5(%s), 'hex'), %s, 'Debian GNU/Linux 12', '0.2.0', %s, now(), %s) RETURNING id
"""
OPENED = """
INSERT INTO remote_sessions (id, machine_id, ticket_id, reason, capability, short_code, requested_by)
VALUES (%s, %s, %s, 'Regarder la file', 'terminal', '1234', %s)
"""


@pytest.fixture
async def client(services: Any, cast: Any) -> Any:
    return await services.kernel.directory.add_client(
        kind="company", name="Menuiserie Kerjean", actor=Actor.member(cast.alice.id)
    )


@pytest.fixture
def machine(services: Any, client: Any) -> Any:
    async def add(
        name: str, hostname: str, *, state: str = "approved", serial: str = "", mac: str = "", ip: str = ""
    ) -> int:
        raw = {"hardware": {"serial": serial}, "network": [{"name": "eth0", "up": True, "mac": mac, "addresses": [ip]}]}
        facts = Jsonb(Facts.report(raw).as_json())
        async with services.kernel.db.transaction() as conn:
            values = (name, client.id, name, hostname, hostname, state, facts)
            return int((await (await conn.execute(MACHINE, values)).fetchone())[0])

    return add


@pytest.mark.parametrize(
    "text",
    [
        "accueil", "ACCUÉIL", "ccue", "pc-042", "-042x", "5CG1234XYZ", "g1234", "debian", "00:1b:44:11:3a:b7",
        "00-1B-44-11-3A-B7", "001b44113ab7", "192.168.7.42", "168.7.", "kerjean", "kerjean accueil",
        "menuiserie debian 7.42",
    ],
)  # fmt: skip
async def test_a_machine_is_found_by_any_piece_of_what_is_known(
    services: Any, cast: Any, machine: Any, text: str
) -> None:
    wanted = await machine("Poste accueil", "pc-042x", serial="5CG1234XYZ", mac="00:1b:44:11:3a:b7", ip="192.168.7.42")
    found = await MachineRecords(services.kernel.db).search(cast.alice, record_query(text), 5)
    assert [int(hit.id) for hit in found.hits] == [wanted]
    assert "5CG1234XYZ" in plain(found.hits[0].snippet)


@pytest.mark.parametrize(
    "text", ["a", "", "%", "zz%", "\\", "accueil nulle-part", "x" * 500, "' OR true --", "_ccueil"]
)
async def test_what_is_not_known_of_a_machine_finds_nothing(services: Any, cast: Any, machine: Any, text: str) -> None:
    await machine("Poste accueil", "pc-042x")
    assert not (await MachineRecords(services.kernel.db).search(cast.alice, record_query(text), 5)).hits


async def test_the_exact_serial_comes_first_a_machine_turned_away_not_at_all(
    services: Any, cast: Any, machine: Any
) -> None:
    await machine("Alpha", "h-ABC12", serial="ZZABC12ZZ")
    exact = await machine("Zoulou", "h-2", serial="ABC12")
    await machine("Beta", "h-3", state="revoked", serial="ABC12")
    found = await MachineRecords(services.kernel.db).search(cast.alice, record_query("abc12"), 5)
    assert int(found.hits[0].id) == exact
    assert len(found.hits) == 2


async def test_facts_that_an_agent_changes_are_found_at_once(services: Any, cast: Any, machine: Any) -> None:
    number = await machine("Poste accueil", "pc-042x", serial="OLD123")
    machines, source = services.remote.machines, MachineRecords(services.kernel.db)
    told = {"hardware": {"serial": "NEW456"}, "network": "hostile"}
    known = await machines.get(number)
    async with services.kernel.db.transaction() as conn:
        await machines.keep_facts(conn, known, told, datetime.now(UTC))
    assert (await source.search(cast.alice, record_query("new456"), 5)).hits
    assert not (await source.search(cast.alice, record_query("old123"), 5)).hits


def test_the_words_of_a_question_are_few_and_folded() -> None:
    assert terms("É" * 10) == ["e" * 10]
    assert len(terms("a b c d e f g h")) == 5


# Recordings


@pytest.fixture
async def recorded(services: Any, cast: Any, machine: Any, client: Any) -> Any:
    """A finished recording in which the words come at second 65."""
    recordings = services.remote.recordings
    number = await machine("Caisse", "pc-1")
    ticket = await services.tickets.desk.open(NewTicket(client_id=client.id, title="File bloquée"), cast.alice)
    async with services.kernel.db.transaction() as conn:
        await conn.execute(OPENED, (SESSION, number, ticket, cast.alice.id))
    recorder, _ = await recordings.begin(SESSION, title="t", columns=80, rows=24)
    play(recorder)
    return ticket


def play(recorder: Recorder) -> None:
    start = recorder._started
    for second, text in ((1, "$ lpstat -p\r\n" * 3), (65, "imprimante EPSON_L3150 désactivée\r\n"), (90, "$ exit\r\n")):
        recorder._clock = lambda second=second: start + second
        recorder.output(text.encode())
    recorder.close()


async def found(services: Any, member: Any, text: str) -> Any:
    return (await RecordingRecords(services.kernel.db).search(member, record_query(text), 5)).hits


async def test_a_recording_is_found_once_it_is_finished_and_leads_to_the_moment(
    services: Any, cast: Any, recorded: int
) -> None:
    assert not await found(services, cast.bruno, "epson")
    await services.remote.recordings.finish(SESSION)
    (hit,) = await found(services, cast.bruno, "EPSON désactivée")
    assert hit.title == "Caisse · Regarder la file"
    assert hit.url == f"/recordings/{SESSION}?t=66"
    assert list(hit.badges) == [f"#{recorded}", "1:05"]
    assert {piece.text for piece in hit.snippet if piece.marked} >= {"désactivée"}
    assert not await found(services, cast.bruno, "epson nullepart")
    assert not await found(services, cast.bruno, "%")


async def test_old_recordings_are_made_findable_in_the_background(
    services: Any, cast: Any, recorded: int, db: Any
) -> None:
    recordings = services.remote.recordings
    await recordings.finish(SESSION)
    async with db.transaction() as conn:
        await conn.execute("UPDATE recordings SET words = '', words_version = 0, moments = '{}'")
    assert not await found(services, cast.bruno, "epson")
    assert await recordings.index_old() == 1
    assert [hit.url for hit in await found(services, cast.bruno, "epson")] == [f"/recordings/{SESSION}?t=66"]
    assert await recordings.index_old() == 0


async def test_a_recording_without_its_file_is_found_by_the_words_that_were_kept(
    services: Any, cast: Any, recorded: int, db: Any
) -> None:
    recordings = services.remote.recordings
    await recordings.finish(SESSION)
    recordings.path(await recordings.get(SESSION)).unlink()
    async with db.transaction() as conn:
        await conn.execute("UPDATE recordings SET words = '', words_version = 0")
    assert await recordings.index_old() == 1
    assert [hit.url for hit in await found(services, cast.bruno, "epson")] == [f"/recordings/{SESSION}"]


def test_each_line_of_a_transcript_has_its_moment() -> None:
    transcript = Transcript()
    transcript.feed("une\nde", 3)
    transcript.feed("ux\n\ntrois", 7)
    assert transcript.text().split("\n") == ["une", "deux", "trois"]
    assert transcript.moments() == [3, 7, 7]


def test_a_cut_transcript_has_as_many_moments_as_lines() -> None:
    transcript = Transcript()
    for second in range(9_000):
        transcript.feed(f"{second} {'x' * 60}\n", second)
    lines = transcript.text().split("\n")
    assert len(lines) == len(transcript.moments())
    for line, moment in zip(lines, transcript.moments(), strict=True):
        assert line == "…" or line.split()[0] == str(moment)


@pytest.mark.parametrize("unit", ["a/b/c/d/{n} ", "é{n} ", "'\\{n} ", "x" * 60 + "{n} "])
async def test_the_lexemes_of_any_text_fit_into_a_tsvector(db: Any, unit: str) -> None:
    text = "".join(unit.format(n=n) for n in range(MAX_TEXT // 4))
    async with db.connection() as conn:
        row = await (await conn.execute("SELECT length(%s::tsvector)", (tsvector_text("", text),))).fetchone()
    assert row[0] > 1000

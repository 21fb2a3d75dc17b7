"""The search service on a real database and a real index: what is committed is found, what is damaged is built anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from compagnon.auth.model import Member, Role
from compagnon.db import Database
from compagnon.errors import Invalid
from kb.search import store
from kb.search.model import Boost, Document, Filters, Found, Hit, IndexPhase, Reason
from kb.search.records import RecordQuery, record_query, tsvector_text
from kb.search.service import NO_ANSWER, Search
from kb.search.whoosh_engine import WhooshEngine

ALICE = Member(
    id=1, email="alice@example.org", name="Alice", role=Role.MEMBER, locale="fr", theme="auto", departements=("35",),
    available=True, available_until=None, active=True, phone="",
)  # fmt: skip


class Notes:
    """A library source over a table of its own, as the packages have."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def create(self) -> None:
        async with self.db.transaction() as conn:
            await conn.execute("CREATE TABLE notes (id text PRIMARY KEY, title text NOT NULL, body text NOT NULL)")

    async def documents(self) -> AsyncIterator[Document]:
        async with self.db.connection() as conn:
            for row in await (await conn.execute("SELECT id, title, body FROM notes ORDER BY id")).fetchall():
                yield note(*row)

    async def document(self, id: str) -> Document | None:
        async with self.db.connection() as conn:
            row = await (await conn.execute("SELECT id, title, body FROM notes WHERE id = %s", (id,))).fetchone()
        if row and row[1] == "unreadable":
            raise Invalid("unreadable")
        return note(*row) if row else None

    async def write(self, search: Search, id: str, title: str, body: str = "") -> None:
        async with self.db.transaction() as conn:
            await conn.execute(
                "INSERT INTO notes VALUES (%(id)s, %(title)s, %(body)s)"
                " ON CONFLICT (id) DO UPDATE SET title = %(title)s",
                {"id": id, "title": title, "body": body},
            )
            await search.changed(conn, "procedure", id)

    async def remove(self, search: Search, id: str) -> None:
        async with self.db.transaction() as conn:
            await conn.execute("DELETE FROM notes WHERE id = %s", (id,))
            await search.changed(conn, "procedure", id)


def note(id: str, title: str, body: str) -> Document:
    locale = "en" if id.endswith(".en") else "fr"
    environments = ("poste-debian-12",) if id.startswith("deb") else ()
    return Document(
        kind="procedure",
        id=id,
        title=title,
        url=f"/procedures/{id}",
        locale=locale,
        body=body,
        environments=environments,
    )


class Tickets:
    """A record source over tsvector and ILIKE, filtered by its own SQL."""

    kind, label, icon = "ticket", "Tickets", "ticket"
    SEARCH = """
    SELECT id, title FROM demo_tickets
    WHERE reader = %(member)s AND (words @@ %(tsquery)s::tsquery OR title ILIKE %(like)s OR id = %(number)s)
    ORDER BY id LIMIT %(limit)s
    """

    def __init__(self, db: Database) -> None:
        self.db = db

    async def create(self, *titles: str, reader: int = 1) -> None:
        async with self.db.transaction() as conn:
            await conn.execute(
                "CREATE TABLE IF NOT EXISTS demo_tickets"
                " (id bigint GENERATED ALWAYS AS IDENTITY, title text, reader bigint, words tsvector)"
            )
            for title in titles:
                await conn.execute(
                    "INSERT INTO demo_tickets (title, reader, words) VALUES (%s, %s, %s::tsvector)",
                    (title, reader, tsvector_text(title)),
                )

    async def search(self, member: Member, query: RecordQuery, limit: int) -> Found:
        values = {
            "member": member.id, "tsquery": query.tsquery, "like": query.like, "number": query.number, "limit": limit
        }  # fmt: skip
        async with self.db.connection() as conn:
            rows = await (await conn.execute(self.SEARCH, values)).fetchall()
        return Found(hits=[Hit(kind="ticket", id=str(id_), title=title, url=f"/tickets/{id_}") for id_, title in rows])


@pytest.fixture
async def notes(db: Database) -> Notes:
    made = Notes(db)
    await made.create()
    return made


@pytest.fixture
def search(db: Database, notes: Notes, tmp_path: Path) -> Search:
    made = Search(db, WhooshEngine(tmp_path / "search"))
    made.library_source("procedure", notes)
    return made


async def until(check: Callable[[], Awaitable[object]], *, within: float = 10) -> float:
    """Wait until ``check`` holds; returns the seconds it took."""
    started = time.monotonic()
    while not await check():
        assert time.monotonic() - started < within, "it did not happen"
        await asyncio.sleep(0.005)
    return time.monotonic() - started


async def found(search: Search, text: str) -> list[str]:
    return [hit.id for hit in await search.library(text)]


async def ready(search: Search) -> bool:
    return (await search.progress()).phase == IndexPhase.READY


async def waiting_changes(db: Database, count: int) -> bool:
    async with db.connection() as conn:
        return await store.waiting(conn) == count


async def nothing_waits(db: Database) -> bool:
    return await waiting_changes(db, 0)


async def test_what_is_committed_is_found_within_a_second(search: Search, notes: Notes) -> None:
    async with search.working():
        await until(lambda: ready(search))
        times = []
        for number, word in enumerate(("zorglub", "bulgroz", "spip", "fantasio", "seccotine")):
            await notes.write(search, f"n{number}", f"Panne {word}")
            times.append(await until(lambda number=number, word=word: _equal(found(search, word), [f"n{number}"])))
        assert min(times) < 0.5
        assert max(times) < 1.0
        await notes.write(search, "n1", "Titre nouveau")
        await until(lambda: _equal(found(search, "nouveau"), ["n1"]))
        await notes.remove(search, "n1")
        await until(lambda: _equal(found(search, "nouveau"), []))


async def _equal(asked: Awaitable[list[str]], expected: list[str]) -> bool:
    return await asked == expected


async def test_what_is_rolled_back_is_never_found(search: Search, notes: Notes, db: Database) -> None:
    with pytest.raises(RuntimeError):
        async with db.transaction() as conn:
            await search.changed(conn, "procedure", "n1")
            raise RuntimeError
    async with db.connection() as conn:
        assert await store.waiting(conn) == 0


async def test_changes_made_while_nobody_worked_are_caught_up(search: Search, notes: Notes) -> None:
    async with search.working():
        await until(lambda: ready(search))
    await notes.write(search, "n1", "Écran noir")
    assert await found(search, "écran") == []
    async with search.working():
        await until(lambda: _equal(found(search, "écran"), ["n1"]))


async def test_another_process_sees_the_change_too(search: Search, notes: Notes, db: Database, tmp_path: Path) -> None:
    other = Search(db, WhooshEngine(tmp_path / "search"))
    other.library_source("procedure", notes)
    async with search.working(), other.working():
        await until(lambda: ready(search))
        await notes.write(other, "n1", "Écran noir")
        await until(lambda: _equal(found(other, "écran"), ["n1"]))
        await until(lambda: _equal(found(search, "écran"), ["n1"]))


async def test_the_work_is_taken_over_when_the_worker_goes(
    search: Search, notes: Notes, db: Database, tmp_path: Path
) -> None:
    other = Search(db, WhooshEngine(tmp_path / "search"))
    other.library_source("procedure", notes)
    async with AsyncExitStack() as stack:
        async with search.working():
            await until(lambda: ready(search))
            await stack.enter_async_context(other.working())
        await notes.write(other, "n1", "Écran noir")
        await until(lambda: _equal(found(other, "écran"), ["n1"]))


@pytest.mark.parametrize("damage", ["deleted", "truncated", "older"])
async def test_a_lost_index_is_built_anew_at_the_start(
    search: Search, notes: Notes, db: Database, tmp_path: Path, damage: str
) -> None:
    for number in range(30):
        await notes.write(search, f"n{number:02}", f"Imprimante {number}")
    async with search.working():
        await until(lambda: ready(search))
        assert len(await search.library("imprimante", limit=50)) == 30
    root = tmp_path / "search"
    if damage == "deleted":
        for path in root.glob("index-*/*"):
            path.unlink()
    elif damage == "truncated":
        for path in root.glob("index-*/*.seg"):
            path.write_bytes(path.read_bytes()[:50])
    else:
        async with db.transaction() as conn:
            await conn.execute("UPDATE search_state SET generation = generation + 5")
    again = Search(db, WhooshEngine(root))
    again.library_source("procedure", notes)
    async with again.working():
        await until(lambda: _equal(found(again, '"imprimante 29"'), ["n29"]))
        assert len(await again.library("imprimante", limit=50)) == 30


async def test_damage_met_by_a_question_is_told_and_mended(
    search: Search, notes: Notes, db: Database, tmp_path: Path
) -> None:
    await notes.write(search, "n1", "Imprimante")
    async with search.working():
        await until(lambda: ready(search))
        await until(lambda: nothing_waits(db))
        root = tmp_path / "search"
        (root / "current").write_text("index-0000000000000000")
        answer = await search.find("imprimante")
        assert "being built" in answer.notices[0].message
        await until(lambda: _equal(found(search, "imprimante"), ["n1"]))


async def test_before_the_first_build_a_question_is_answered_with_a_notice(search: Search) -> None:
    answer = await search.find("imprimante")
    assert answer.hits == ()
    assert "being built" in answer.notices[0].message


async def test_reindex_reports_progress_and_counts(search: Search, notes: Notes) -> None:
    for number in range(3):
        await notes.write(search, f"n{number}", "Imprimante")
    heard: list[tuple[int, int]] = []
    assert await search.reindex(lambda done, total: heard.append((done, total))) == 3
    assert heard[-1] == (3, 3)
    assert len(await found(search, "imprimante")) == 3


async def test_what_waited_when_a_build_began_is_done_with_it_and_what_came_later_is_not_lost(
    search: Search, notes: Notes, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of changes that an import left are in the new index: applying them again would slow every search."""
    await notes.write(search, "n1", "Imprimante")
    await notes.write(search, "n2", "unreadable")  # tried before, and still to be tried
    async with db.connection() as conn:
        await conn.execute("UPDATE search_outbox SET attempts = 1 WHERE ref = 'n2'")
    read = notes.documents

    async def documents() -> AsyncIterator[Document]:
        async for document in read():
            yield document
        await notes.write(search, "n3", "Imprimante")

    monkeypatch.setattr(notes, "documents", documents)
    assert await search.reindex() == 2
    async with db.connection() as conn:
        assert [change.ref for change in await store.due(conn)] == ["n2", "n3"]


async def test_reindex_leaves_the_work_to_a_running_server(
    search: Search, notes: Notes, db: Database, tmp_path: Path
) -> None:
    await notes.write(search, "n1", "Imprimante")
    command = Search(db, WhooshEngine(tmp_path / "search"))
    command.library_source("procedure", notes)
    async with search.working():
        await until(lambda: ready(search))
        async with db.connection() as conn:
            before = (await store.state(conn)).stamp
        assert await command.reindex() == 1
        async with db.connection() as conn:
            assert (await store.state(conn)).stamp != before
        assert await found(search, "imprimante") == ["n1"]


async def test_reindex_takes_over_when_whoever_held_the_work_is_gone(
    search: Search, notes: Notes, db: Database
) -> None:
    """Such as another command that has just ended: PostgreSQL frees its lock a little later."""
    await notes.write(search, "n1", "Imprimante")
    async with await psycopg.AsyncConnection.connect(db.url, autocommit=True) as other:
        assert await store.try_lock(other)
        waiting = asyncio.create_task(search.reindex())
        await asyncio.sleep(0.3)
        assert not waiting.done()
    assert await asyncio.wait_for(waiting, 10) == 1


async def test_one_unreadable_document_does_not_hold_up_the_others(search: Search, notes: Notes, db: Database) -> None:
    async with search.working():
        await until(lambda: ready(search))
        await notes.write(search, "bad", "unreadable")
        await notes.write(search, "n1", "Imprimante")
        await until(lambda: _equal(found(search, "imprimante"), ["n1"]))
        await until(lambda: waiting_changes(db, 1))
        async with db.connection() as conn:
            await conn.execute("UPDATE notes SET title = 'Lisible' WHERE id = 'bad'")
            await conn.execute("UPDATE search_outbox SET due_at = now()")
            await conn.execute(f"NOTIFY {store.CHANNEL}")
        await until(lambda: _equal(found(search, "lisible"), ["bad"]))


async def test_a_kind_without_a_source_is_dropped(search: Search, db: Database) -> None:
    async with search.working():
        await until(lambda: ready(search))
        async with db.transaction() as conn:
            await search.changed(conn, "unknown", 12)
        await until(lambda: nothing_waits(db))


# suggestions and the one answer


@pytest.fixture
async def library(search: Search, notes: Notes) -> Search:
    await notes.write(search, "imp-001.fr", "L'imprimante n'imprime plus", "Videz la file d'attente.")
    await notes.write(search, "imp-001.en", "The printer does not print", "imprimante: empty the queue.")
    await notes.write(search, "deb-002.fr", "Relancer la file d'impression", "cups est arrêté, imprimante muette.")
    await notes.write(search, "net-003.fr", "Résoudre un nom", "resolv.conf")
    await search.reindex()
    return search


async def test_a_suggestion_says_why(library: Search) -> None:
    boosts = {
        "procedure:deb-002": Boost(reason=Reason(message="The check {check} fails", params={"check": "cups"}), weight=1)
    }
    hits = await library.suggest("l'imprimante ne sort rien", environment="poste-debian-12", locale="fr", boosts=boosts)
    assert hits[0].id == "deb-002.fr"
    said = [reason.message.format(**reason.params) for reason in hits[0].why]
    assert said[0] == "The check cups fails"
    assert "Holds: imprimante" in said
    assert "Written for poste-debian-12" in said


async def test_failing_checks_alone_suggest_their_repair(library: Search) -> None:
    hits = await library.suggest("", boosts={"procedure:net-003": Boost(reason="DNS does not answer")})
    assert [hit.id for hit in hits] == ["net-003.fr"]
    assert hits[0].why == (Reason(message="{text}", params={"text": "DNS does not answer"}),)


async def test_a_procedure_is_suggested_once_in_the_language_asked_for(library: Search) -> None:
    french = [hit.id for hit in await library.suggest("imprimante printer", locale="fr")]
    english = [hit.id for hit in await library.suggest("imprimante printer", locale="en")]
    assert "imp-001.fr" in french
    assert "imp-001.en" not in french
    assert "imp-001.en" in english
    assert "imp-001.fr" not in english


async def test_the_environment_of_the_machine_decides_between_equals(library: Search) -> None:
    plain = await library.suggest("imprimante", locale="fr")
    fitting = await library.suggest("imprimante", locale="fr", environment="poste-debian-12")
    score = {hit.id: hit.score for hit in plain}
    assert {hit.id: hit.score for hit in fitting}["deb-002.fr"] > score["deb-002.fr"]


async def test_everything_is_answered_in_groups(library: Search, db: Database) -> None:
    tickets = Tickets(db)
    await tickets.create("Imprimantes en panne chez Dupont", "Écran noir")
    await tickets.create("Imprimante secrète", reader=2)
    library.record_source(tickets)
    groups = await library.everywhere(ALICE, "imprimante")
    assert [group.kind for group in groups] == ["procedure", "ticket"]
    assert [hit.title for hit in groups[1].hits] == ["Imprimantes en panne chez Dupont"]
    assert [group.kind for group in await library.everywhere(ALICE, "#2")] == ["ticket"]
    only = await library.answer(ALICE, "imprimante", kind="ticket")
    assert [group.kind for group in only.groups] == ["ticket"]


async def test_a_member_finds_only_what_they_may_read(library: Search, db: Database) -> None:
    tickets = Tickets(db)
    await tickets.create("Imprimante secrète", reader=2)
    library.record_source(tickets)
    assert [g.kind for g in await library.everywhere(replace(ALICE, id=2), "secrete")] == ["ticket"]
    assert await library.everywhere(ALICE, "secrete") == ()


async def test_records_that_fail_do_not_take_the_others_with_them(library: Search, db: Database) -> None:
    library.record_source(Tickets(db))  # its table was never made
    answer = await library.answer(ALICE, "imprimante")
    assert [group.kind for group in answer.groups] == ["procedure"]
    assert [notice.message for notice in answer.notices] == [NO_ANSWER]


async def test_filters_narrow_the_library(library: Search) -> None:
    hits = await library.library("imprimante", filters=Filters(environments=("poste-debian-12",)))
    assert [hit.id for hit in hits] == ["deb-002.fr"]
    assert hits[0].badges == ("poste-debian-12",)


# the forms that SQL needs


HOSTILE = [
    "'; DROP TABLE notes; --",
    "a & b | !c <-> d:*",
    "\\' \\\\ '' \\",
    "%_%",
    "\x00\u202e",
    "':*",
    "(((",
    "é'à\\b",
    "😀 c++ c#",
    "x" * 5000,
    "' OR 1=1",
    "$1 %(x)s %s {0}",
]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_any_text_is_a_valid_tsquery_and_tsvector(db: Database, hostile: str) -> None:
    query = record_query(hostile)
    async with db.connection() as conn:
        row = await (
            await conn.execute(
                "SELECT %s::tsquery, %s::tsvector, %s ILIKE %s",
                (query.tsquery, tsvector_text(hostile, hostile), query.text, query.like),
            )
        ).fetchone()
    assert row
    assert row[2] is True


async def test_like_signs_stand_for_themselves(db: Database) -> None:
    async with db.connection() as conn:
        row = await (
            await conn.execute(
                "SELECT '100 %% sûr' ILIKE %(p)s, '100 x' ILIKE %(p)s, 'a_b' ILIKE %(u)s, 'axb' ILIKE %(u)s",
                {"p": record_query("100 %").like, "u": record_query("a_b").like},
            )
        ).fetchone()
    assert row == (True, False, True, False)


async def test_records_and_questions_are_read_alike(db: Database) -> None:
    async def matches(text: str, question: str) -> bool:
        async with db.connection() as conn:
            row = await (
                await conn.execute(
                    "SELECT %s::tsvector @@ %s::tsquery", (tsvector_text(text), record_query(question).tsquery)
                )
            ).fetchone()
        return bool(row and row[0])

    assert await matches("Les imprimantes réseau de l'étage", "imprimante RESEAU")
    assert await matches("Printers are offline", "printers offl")
    assert await matches("Erreur 0x80070005 sur spoolsv.exe", "0x80070005 spoolsv")
    assert await matches("Erreur sur spoolsv.exe", "spoolsv.exe")
    assert not await matches("Les imprimantes réseau", "imprimante souris")


async def test_a_long_record_fits_a_tsvector(db: Database) -> None:
    text = " ".join(f"mot{number % 5000} imprimante" for number in range(60_000))
    async with db.connection() as conn:
        row = await (await conn.execute("SELECT length(%s::tsvector)", (tsvector_text("titre", text),))).fetchone()
    assert row
    assert row[0] > 1000


def test_numbers_are_recognised() -> None:
    assert record_query(" #12 ").number == 12
    assert record_query("12").number == 12
    assert record_query("9" * 30).number is None
    assert record_query("²").number is None
    assert record_query("06 12-34.56 78").digits == "0612345678"
    assert record_query("n° 12").digits == ""


async def test_the_outbox_refuses_what_no_document_is_called(search: Search, db: Database) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        async with db.transaction() as conn:
            await search.changed(conn, "procedure", "x" * 300)

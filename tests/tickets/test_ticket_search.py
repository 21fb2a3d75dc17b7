"""Tickets in the search: common words, rare words, fragments, the message that holds the words, words read again."""

from __future__ import annotations

import random
from typing import Any

import pytest

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind
from kb.search.highlight import plain
from kb.search.records import record_query
from tickets import search
from tickets.desk.model import Impact, NewTicket, Urgency, Visibility
from tickets.listing import search_store
from tickets.listing.search_store import COMMON, Expected, Said
from tickets.search import TicketRecords, Way, cheapest, within


@pytest.fixture
async def client(services: Any, cast: Any) -> Any:
    return await services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Boulangerie Le Gall", actor=Actor.member(cast.ada.id)
    )


@pytest.fixture
def source(services: Any) -> TicketRecords:
    return TicketRecords(services.kernel.db)


@pytest.fixture
def opened(services: Any, cast: Any, client: Any) -> Any:
    async def make(title: str, symptom: str = "", *said: str) -> int:
        desk = services.tickets.desk
        number = await desk.open(NewTicket(client_id=client.id, title=title, symptom=symptom), cast.alice)
        for body in said:
            await desk.say(number, cast.bruno, body, Visibility.INTERNAL)
        return int(number)

    return make


async def found(source: TicketRecords, member: Any, text: str, limit: int = 10) -> list[int]:
    return [int(hit.id) for hit in (await source.search(member, record_query(text), limit)).hits]


async def test_a_hit_from_a_message_shows_it_and_leads_to_it(source: Any, cast: Any, opened: Any, db: Any) -> None:
    number = await opened(
        "Poste lent", "Depuis lundi", "Rien de neuf.", "Le <b>toner</b> est vide, commandé chez Durand."
    )
    hit = (await source.search(cast.alice, record_query("toner commandé"), 5)).hits[0]
    async with db.connection() as conn:
        asked = "SELECT max(id) FROM ticket_messages WHERE ticket_id = %s"
        (message,) = await (await conn.execute(asked, (number,))).fetchone()
    assert hit.url == f"/tickets/{number}#message-{message}"
    assert [piece.text for piece in hit.snippet if piece.marked] == ["toner", "commandé"]
    assert plain(hit.snippet).startswith("Boulangerie Le Gall · ")
    assert hit.why[0].params == {"name": "Bruno Leroy"}


async def test_a_hit_from_title_and_symptom_leads_to_the_ticket(source: Any, cast: Any, opened: Any) -> None:
    number = await opened("Toner vide", "Le toner noir est vide", "Le toner est commandé")
    hit = (await source.search(cast.alice, record_query("toner vide"), 5)).hits[0]
    assert (hit.url, list(hit.why)) == (f"/tickets/{number}", [])
    assert "toner" in [piece.text for piece in hit.snippet if piece.marked]


async def test_words_of_several_messages_find_the_ticket_the_number_comes_first(
    source: Any, cast: Any, opened: Any
) -> None:
    first = await opened("Écran noir", "", "Le câble est neuf", "Voir aussi l'onduleur")
    second = await opened(f"Suite du numéro {first}")
    assert await found(source, cast.alice, "câble onduleur") == [first]
    assert await found(source, cast.alice, str(first)) == [first, second]
    assert await found(source, cast.alice, f"#{first}") == [first, second]


async def test_fragments_of_a_title_are_found_and_signs_stand_for_themselves(
    source: Any, cast: Any, opened: Any
) -> None:
    number = await opened("Erreur 0x80070005 au démarrage de Photocopieuse_2")
    for text in ("7000", "copieuse_", "0x80070005", "photoc"):
        assert await found(source, cast.alice, text) == [number], text
    for text in ("%", "_", "\\", "copieuse%", "%%%", "' OR 1=1 --", "a\x00b", "\u202e", "(" * 300, "&|!:*<->"):
        assert await found(source, cast.alice, text) == [], text


async def test_common_words_are_searched_among_the_newest_and_that_is_said(
    source: Any, cast: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [await opened(f"Imprimante {place}") for place in range(6)]
    monkeypatch.setattr(search_store, "WINDOW", 4)
    monkeypatch.setattr(search, "COMMON", -1)  # whatever is expected is too much
    some = await source.search(cast.alice, record_query("imprimante"), 3)
    assert {int(hit.id) for hit in some.hits} <= set(numbers[-4:])
    assert some.notices[0].message == search.ONLY_NEWEST
    every = await source.search(cast.alice, record_query("imprimante"), 6)  # more than the newest hold: all are read
    assert ({int(hit.id) for hit in every.hits}, list(every.notices)) == (set(numbers), [])


def test_the_index_is_asked_for_the_rarer_part_of_the_words() -> None:
    two, one = record_query("kerjean imp"), record_query("imp")
    many, few = COMMON + 1, COMMON
    assert cheapest(two, Expected(every=few, lead=few, last=many)) is Way.LEAD
    assert cheapest(two, Expected(every=few, lead=many, last=few)) is Way.INDEX
    assert cheapest(two, Expected(every=few, lead=many, last=many)) is Way.INDEX
    assert cheapest(two, Expected(every=many, lead=many, last=many)) is Way.NEWEST
    assert cheapest(one, Expected(every=many, lead=0, last=many)) is Way.NEWEST
    assert ":*" not in two.lead


async def test_what_is_expected_of_all_words_of_the_lead_and_of_the_last_comes_from_one_plan(
    opened: Any, db: Any
) -> None:
    for place in range(30):
        await opened("Imprimante lente" if place < 3 else "Imprimante")
    async with db.connection() as conn:
        await conn.execute("ANALYZE tickets")
        query = record_query("imprimante lente")
        each = await search_store.expected(conn, every=query.tsquery, lead=query.lead, last=query.last)
        one = await search_store.expected(conn, every=query.lead, lead="", last="")
    assert (each.every <= 5, each.lead, each.last <= 5) == (True, 30, True)
    assert one == Expected(every=30, lead=30, last=30)


async def test_every_way_finds_the_same(source: Any, cast: Any, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What PostgreSQL expects decides how it is looked for, never what is found."""
    dice = random.Random(4)
    words = ["imprimante", "réseau", "lent", "écran", "bourrage", "wifi"]
    for _ in range(25):
        await opened(" ".join(dice.choices(words, k=3)), "", " ".join(dice.choices(words, k=2)))
    for text in ("imprimante", "écran lent", "bour", "wifi rés", "imprimante écran bourrage"):
        answers = set()
        for common in (-1, 10**9):
            monkeypatch.setattr(search, "COMMON", common)
            answers.add(tuple(await found(source, cast.alice, text, 50)))
        assert len(answers) == 1, text
        assert answers != {()}, text


async def test_the_old_titles_words_go_and_the_others_stay(services: Any, source: Any, cast: Any, opened: Any) -> None:
    number = await opened("Imprimante muette", "au rez-de-chaussée", "essayé un autre câble")
    change = {"impact": Impact.LOW, "urgency": Urgency.LOW, "skill": None, "machine_id": None}
    await services.tickets.desk.edit(number, cast.alice, revision=1, title="Scanner muet", **change)
    assert await found(source, cast.alice, "scanner") == [number]  # at once
    assert await services.tickets.words.index_old() == 1
    assert await found(source, cast.alice, "imprimante") == []
    for text in ("scanner", "rez-de-chaussée", "câble"):
        assert await found(source, cast.alice, text) == [number], text
    assert await services.tickets.words.index_old() == 0


async def test_words_of_an_older_analysis_are_all_read_again(
    services: Any, source: Any, cast: Any, opened: Any, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickets.listing.words.BATCH", 2)
    numbers = {await opened(f"Imprimante {place}", "", "onduleur") for place in range(5)}
    async with db.transaction() as conn:
        await conn.execute("UPDATE tickets SET words = '', words_version = 0")
    assert await found(source, cast.alice, "onduleur") == []
    assert await services.tickets.words.index_old() == 5
    assert set(await found(source, cast.alice, "onduleur")) == numbers


def test_only_so_much_of_a_conversation_is_looked_through() -> None:
    said = [Said(ticket_id=1, id=number, author="A", body="x" * 100) for number in range(10)]
    assert len(within(said, 350)) == 3
    assert within(said, 50) == []


async def test_the_signs_of_a_question_hold_for_tickets_too(source: Any, cast: Any, opened: Any) -> None:
    titled = await opened("Toner vide", "Le toner est à changer")
    other = await opened("Copieur en panne", "Le toner est vide", "le scanner marche")
    assert set(await found(source, cast.alice, "toner")) == {titled, other}
    assert await found(source, cast.alice, "titre:toner") == [titled]
    assert await found(source, cast.alice, "titre:ton") == [titled]
    assert await found(source, cast.alice, "toner -scanner") == [titled]
    assert await found(source, cast.alice, "toner -vide") == []

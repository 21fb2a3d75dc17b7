"""What other subjects give to the search: synonyms, past questions, evidence from the field; and related documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from compagnon.db import Database
from kb.search.expanding import Thesaurus
from kb.search.highlight import Highlighter
from kb.search.model import Boost, Document, Filters, Reason, SynonymGroup
from kb.search.question import ask
from kb.search.service import Search
from kb.search.whoosh_engine import WhooshEngine


def article(id: str, title: str, body: str = "", locale: str = "fr", **more: tuple[str, ...]) -> Document:
    return Document(kind="article", id=id, title=title, url=f"/articles/{id}", body=body, locale=locale, **more)


ARTICLES = (
    article("bsod", "BSOD après une mise à jour", "Le poste redémarre sans cesse."),
    article("blue", "Écran bleu de la mort", "Le pilote graphique est en cause."),
    article("black", "Écran noir", "Le câble du bleu est débranché, l'écran reste noir."),
    article("card", "Carte réseau absente", "La carte réseau n'est pas vue par le pilote."),
    article("queue.fr", "File d'attente d'impression bloquée", "Vider la file d'attente du service d'impression."),
    article("queue.en", "Print queue blocked", "Empty the queue of the printing service.", "en"),
    article("print", "Service d'impression arrêté", "Relancer le service d'impression et la file d'attente."),
    article("mail", "Messagerie lente", "Compacter la boîte aux lettres."),
)


class Shelf:
    def __init__(self) -> None:
        self.articles = {document.id: document for document in ARTICLES}

    async def documents(self) -> AsyncIterator[Document]:
        for document in self.articles.values():
            yield document

    async def document(self, id: str) -> Document | None:
        return self.articles.get(id)


class Groups:
    def __init__(self, *groups: tuple[str, ...], locale: str = "") -> None:
        self.now: Sequence[SynonymGroup] = [SynonymGroup(locale=locale, words=words) for words in groups]

    def groups(self) -> Sequence[SynonymGroup]:
        return self.now


class Field:
    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []
        self.known: dict[str, tuple[str, ...]] = {}
        self.worth: dict[str, Boost] = {}
        self.broken = False

    async def queries(self, keys: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        self.asked.append(keys)
        if self.broken:
            raise RuntimeError("no evidence today")
        return {key: self.known[key] for key in keys if key in self.known}

    async def boosts(self, keys: Sequence[str], *, environment: str | None) -> Mapping[str, Boost]:
        if self.broken:
            raise RuntimeError("no evidence today")
        return {key: self.worth[key] for key in keys if key in self.worth}


@pytest.fixture
async def search(db: Database, tmp_path: Path) -> Search:
    made = Search(db, WhooshEngine(tmp_path / "search"))
    made.library_source("article", Shelf())
    await made.reindex()
    return made


async def found(search: Search, text: str) -> list[str]:
    return [hit.id for hit in await search.library(text)]


# synonyms


async def test_a_synonym_finds_what_the_word_does_not(search: Search) -> None:
    assert "bsod" not in await found(search, "écran bleu")
    search.synonyms(Groups(("écran bleu", "BSOD")))
    ids = await found(search, "écran bleu")
    assert ids.index("blue") < ids.index("bsod"), "the words themselves are worth more"
    assert (await found(search, "bsod"))[0] == "bsod"
    assert "blue" in await found(search, "bsod")


async def test_an_expression_must_stand_side_by_side(search: Search) -> None:
    search.synonyms(Groups(("écran bleu", "BSOD")))
    assert "black" not in await found(search, "bsod")
    assert "bsod" not in await found(search, "bleu")


async def test_a_group_counts_in_documents_of_its_language_only(search: Search) -> None:
    port = Groups(("messagerie", "queue"), locale="en")
    search.synonyms(port)
    assert await found(search, "messagerie") == ["mail", "queue.en"]
    port.now = Groups(("messagerie", "queue"), ("print", "carte réseau"), locale="fr").now
    assert await found(search, "messagerie") == ["mail"], "no French document holds the other word"
    assert "card" in await found(search, "print")
    port.now = Groups(("print", "carte réseau"), locale="en").now
    assert "card" not in await found(search, "print")


async def test_a_group_whose_language_is_corrected_is_read_anew(search: Search) -> None:
    port = Groups(("print", "carte réseau"), locale="en")
    search.synonyms(port)
    assert "card" not in await found(search, "print")
    port.now = Groups(("print", "carte réseau"), locale="fr").now
    assert "card" in await found(search, "print")


async def test_a_hit_says_which_synonym_it_holds(search: Search) -> None:
    search.synonyms(Groups(("écran bleu", "BSOD")))
    hits = {hit.id: hit for hit in await search.library("écran bleu")}
    meant = Reason(message="“{found}” means the same as “{asked}”", params={"asked": "écran bleu", "found": "BSOD"})
    assert meant in hits["bsod"].why
    assert meant not in hits["blue"].why


async def test_the_words_of_an_expression_are_marked_where_they_stand_together(search: Search) -> None:
    search.synonyms(Groups(("écran bleu", "carte réseau")))
    hits = {hit.id: hit for hit in await search.library("carte réseau")}
    assert [piece.text for piece in hits["card"].snippet if piece.marked] == ["carte", "réseau"]
    other = {hit.id: hit for hit in await search.library("pilote graphique écran bleu")}
    marked = {id_: [piece.text for piece in hit.snippet if piece.marked] for id_, hit in other.items()}
    assert marked["card"] == ["carte", "réseau", "pilote"]


def test_a_word_of_an_expression_alone_is_not_marked() -> None:
    question = Thesaurus([SynonymGroup(words=("écran bleu", "BSOD"))]).expand(ask("bsod"))
    pieces = Highlighter(question).pieces("L'écran est bleu ? Un câble bleu, un écran noir, un écran bleu, BSOD.", "fr")
    assert [piece.text for piece in pieces if piece.marked] == ["écran", "bleu", "écran", "bleu", "BSOD"]


async def test_the_list_may_change_at_any_time(search: Search) -> None:
    port = Groups()
    search.synonyms(port)
    assert "bsod" not in await found(search, "écran bleu")
    port.now = Groups(("écran bleu", "BSOD")).now
    assert "bsod" in await found(search, "écran bleu")
    port.now = Groups(("", "!!!", "a" * 9_000), ("seul",)).now
    assert "bsod" not in await found(search, "écran bleu")


# evidence


async def test_past_questions_find_the_document_that_answered_them(search: Search) -> None:
    field = Field()
    field.known = {"article:mail": ("thunderbird rame",)}
    assert await found(search, "thunderbird") == []
    search.evidence(field)
    await search.reindex()
    assert await found(search, "thunderbird") == ["mail"]
    assert len(field.asked) == 1, "a batch at a time"


async def test_a_single_change_keeps_the_past_questions(search: Search, db: Database) -> None:
    field = Field()
    field.known = {"article:mail": ("thunderbird rame",)}
    search.evidence(field)
    async with db.transaction() as conn:
        await search.changed(conn, "article", "mail")
    await search._indexer.apply_changes()
    assert await found(search, "thunderbird") == ["mail"]


async def test_evidence_moves_a_document_up_and_says_why(search: Search) -> None:
    field = Field()
    search.evidence(field)
    assert (await found(search, "service d'impression"))[0] == "print"
    field.worth = {"article:queue.fr": Boost(reason=Reason(message="Solved it {count} times"), weight=0.9)}
    hits = await search.library("service d'impression")
    assert hits[0].id == "queue.fr"
    assert hits[0].why[0] == Reason(message="Solved it {count} times")


async def test_broken_evidence_costs_nobody_the_answer(search: Search) -> None:
    field = Field()
    field.broken = True
    search.evidence(field)
    await search.reindex()
    assert "print" in await found(search, "service d'impression")


# related


async def test_related_documents_are_about_the_same_and_never_itself(search: Search) -> None:
    ids = [hit.id for hit in await search.related("article", "queue.fr")]
    assert ids[0] == "print"
    assert not {"queue.fr", "queue.en"} & set(ids)
    assert "mail" not in ids


async def test_nothing_is_related_to_what_is_unknown(search: Search) -> None:
    assert await search.related("article", "unknown") == ()


# facets of the new fields


async def test_systems_states_are_counted_and_kept(tmp_path: Path) -> None:
    engine = WhooshEngine(tmp_path / "s")
    engine.begin()
    engine.add(
        [
            Document(kind="article", id="1", title="Panne", url="/1", os=("linux", "windows"), state="published"),
            Document(kind="article", id="2", title="Panne", url="/2", os=("windows",), state="known-error"),
            Document(kind="article", id="3", title="Panne", url="/3", reviewed="2026-01-31"),
        ]
    )
    engine.finish()

    def ask_with(filters: Filters) -> set[str]:
        ranking = engine.search(ask("panne"), filters=filters, limit=9, boosts={}, timeout=9)
        return {item.document.id for item in ranking.ranked}

    every = engine.search(ask("panne"), filters=Filters(), limit=9, boosts={}, timeout=9)
    assert every.facets.os == {"linux": 1, "windows": 2}
    assert every.facets.state == {"published": 1, "known-error": 1}
    assert {item.document.reviewed for item in every.ranked} == {"", "2026-01-31"}
    assert ask_with(Filters(os=("linux", "macos"))) == {"1"}
    assert ask_with(Filters(states=("known-error",))) == {"2"}

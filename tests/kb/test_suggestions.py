"""What the library suggests for a symptom and for an error: procedures first, the telling word wins, each says why."""

from __future__ import annotations

from typing import Any

import pytest
from placing_parts import article, known_error, procedure, put_on_shelf

from kb.search.error_text import read
from kb.search.hits import WORDS
from kb.search.model import Boost, Hit, Reason
from kb.suggestions.model import Place, Suggestion, about

COMMON = "failed to start because the main process of the service exited with an error code on this machine"
UNIT = (
    "mars 12 08:00:01 poste systemd[1]: cups.service: Main process exited, code=exited, status=203/EXEC\n"
    "mars 12 08:00:01 poste systemd[1]: Failed to start cups.service because of an error on this machine\n"
)
ARTICLES = (
    article("1", "When any service stays down", f"{COMMON}. {COMMON}. Failed to start anything on this machine."),
    article("2", "Le serveur d'impression", "cups.service ne démarre pas (203/EXEC) : le programme a disparu."),
    article("3", "Le café", "La machine à café est en panne."),
)
PROCEDURES = (
    procedure("srv-001", "Relancez cups.service", "203/EXEC : le programme.", environments=("poste-debian-12",)),
    procedure("imp-001", "Installez une imprimante", "cups.service est en marche, sans 203/EXEC."),
    procedure("net-001", "Rétablissez le réseau", "Le service du réseau."),
)


@pytest.fixture
async def suggesting(services: Any) -> Any:
    await put_on_shelf(services, "article", ARTICLES, worker=False)
    await put_on_shelf(services, "procedure", PROCEDURES, worker=False)
    return services.kb.suggesting


def ids(suggestions: Any) -> list[str]:
    return [one.hit.id for one in suggestions]


async def test_in_an_error_the_telling_name_outweighs_many_common_words(suggesting: Any) -> None:
    help = await suggesting.for_error(UNIT, title="Démarrez le service")
    assert ids(help.found.articles)[0] == "2"
    assert {"203/EXEC", "cups.service"} <= {*help.asked.codes, *help.asked.names}
    assert any("203/EXEC" in str(reason.params) for reason in help.found.articles[0].hit.why)


async def test_procedures_come_first_and_those_known_already_are_left_out(suggesting: Any) -> None:
    help = await suggesting.for_error(UNIT, environment="poste-debian-12")
    assert ids(help.found.procedures) == ["srv-001.fr", "imp-001.fr"]
    assert help.found.items[: len(help.found.procedures)] == tuple(help.found.procedures)
    other = await suggesting.for_error(UNIT, environment="poste-debian-12", without=["srv-001"], procedures=1)
    assert ids(other.found.procedures) == ["imp-001.fr"]


async def test_what_is_far_behind_is_left_out(suggesting: Any) -> None:
    found = await suggesting.for_text("cups.service 203/EXEC machine")
    assert "2" in ids(found.articles)
    assert "3" not in ids(found.articles)


async def test_too_little_is_no_question_but_evidence_is_enough(suggesting: Any) -> None:
    assert (await suggesting.for_text("cu")).items == ()
    found = await suggesting.for_text("", boosts={"procedure:srv-001.fr": Boost(reason="fails", weight=0.6)})
    assert ids(found.procedures) == ["srv-001.fr"]
    assert list(found.articles) == []


async def test_an_error_that_is_pasted_into_a_message_is_read_as_one(suggesting: Any) -> None:
    noise = "Setting up libfoo (1.2) over the previous version of the machine\n" * 30
    found = await suggesting.for_text(f"{noise}{UNIT}{noise}")
    assert ids(found.articles)[0] == "2"


@pytest.mark.parametrize("text", ["", "\x00", "<script>alert(1)</script>", "'\"" * 9000, "é" * 100_000, "-a -b:c d*"])
async def test_any_text_is_answered(suggesting: Any, text: str) -> None:
    await suggesting.for_text(text)
    await suggesting.for_error(text)


async def test_a_known_error_brings_its_workaround(services: Any) -> None:
    number = await known_error(
        services, title="Le spouleur s'arrête", condition="0x80070005 à l'impression", workaround="Relancez-le " * 60
    )
    await services.kb.search.reindex()
    (one,) = (await services.kb.suggesting.for_error("error 0x80070005")).found.articles
    assert (one.hit.id, one.known_error) == (str(number), True)
    assert one.workaround.startswith("Relancez-le Relancez-le")
    assert len(one.workaround) <= 301


async def test_related_documents_are_others(suggesting: Any) -> None:
    related = ids(await suggesting.related("article", "2"))
    assert related
    assert "2" not in related
    assert await suggesting.related("article", "404") == []


def test_a_link_for_a_message_is_nothing_but_a_link() -> None:
    hit = Hit(kind="article", id="7", title="a](http://x) <b>*_`\\", url="/articles/7")
    assert Suggestion(hit=hit).markdown == r"[a\](http://x) \<b\>\*\_\`\\](/articles/7)"


def test_links_take_along_where_they_are_followed() -> None:
    assert Place(ticket=12, machine=3).query == "ticket=12&machine=3"
    assert Place().query == ""
    assert Suggestion(hit=Hit(kind="procedure", id="imp-001.fr", title="", url="")).procedure == "imp-001"
    assert Suggestion(hit=Hit(kind="article", id="7", title="", url="")).procedure == ""


async def test_beside_a_failing_check_only_what_names_its_subject_is_shown(suggesting: Any) -> None:
    about = "Le service d'impression fonctionne : en marche : attendu oui, trouvé non"
    assert [one.hit.id for one in await suggesting.mentioning("cups.service", about, locale="fr")] == ["2"]
    for unnamed in ("chrony", "/etc/resolv.conf", "", '"', "a b c d e f"):
        assert list(await suggesting.mentioning(unnamed, about, locale="fr")) == []


def found_by(*words: str) -> Suggestion:
    why = (Reason(message=WORDS, params={"words": ", ".join(words)}),) if words else ()
    return Suggestion(hit=Hit(kind="article", id="7", title="", url="", why=why))


def test_one_common_word_is_not_about_an_error() -> None:
    error = read("cups.service: status=203/EXEC\nE: Unable to locate the package on this machine", title="la panne")
    assert about(error, found_by("203/EXEC"))
    assert about(error, found_by("cups.service"))
    assert about(error, found_by("locate", "package"))
    assert not about(error, found_by("package"))
    assert not about(error, found_by())
    assert about(read("panne"), found_by("panne"))
    assert not about(read("panne"), found_by())


async def test_an_article_in_the_readers_language_comes_before_its_translation(services: Any) -> None:
    both = (
        article("1", "cups.service does not start", "cups.service, 203/EXEC, 203/EXEC", locale="en"),
        article("2", "cups.service ne démarre pas", "cups.service, 203/EXEC"),
    )
    await put_on_shelf(services, "article", both, worker=False)
    suggesting = services.kb.suggesting
    for locale, first in (("fr", "2"), ("en", "1")):
        help = await suggesting.for_error("cups.service: status=203/EXEC", locale=locale)
        assert ids(help.found.articles)[0] == first
        assert ids(await suggesting.mentioning("cups.service", "203/EXEC", locale=locale, limit=1)) == [first]

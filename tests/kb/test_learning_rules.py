"""What past questions teach: the rules alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from kb.learning.model import (
    MAX_QUERIES,
    RETENTION,
    SUCCESS_WEIGHT,
    Ending,
    Outcome,
    Use,
    clean,
    lessons,
    norm,
    success_weight,
    wilson,
)
from kb.search import freshness

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def use(text: str, member: int | None = 1, *, days: float = 0, followed: bool = False, ending: str = "") -> Use:
    return Use(
        document="procedure:imp-002.fr",
        text=text,
        norm=norm(text),
        member_id=member,
        opened_at=NOW - timedelta(days=days),
        followed=followed,
        ending=Ending(ending),
    )


def test_one_wrong_click_teaches_nothing_however_often_it_is_repeated() -> None:
    assert lessons([use("rien ne s'imprime")], NOW) == ()
    assert lessons([use("rien ne s'imprime", days=day) for day in range(30)], NOW) == ()
    assert lessons([use("rien ne s'imprime", 1), use("Rien ne s’imprime", 2)], NOW) == ()


def test_what_ended_well_once_teaches() -> None:
    assert lessons([use("rien ne s'imprime", ending="well")], NOW) == ("rien ne s'imprime",)


def test_several_members_teach_and_fewer_where_one_began_a_run() -> None:
    assert lessons([use("toner", member) for member in (1, 2, 3)], NOW) == ("toner",)
    assert lessons([use("toner", 1), use("toner", 2, followed=True)], NOW) == ("toner",)
    assert lessons([use("toner", 1, followed=True)], NOW) == ()
    assert lessons([use("toner", None), use("toner", None), use("toner", None)], NOW) == ()


def test_the_same_question_counts_once_and_its_newest_writing_is_kept() -> None:
    uses = [use("Imprimante bloquée", ending="well", days=9), use("imprimante  BLOQUEE !", 2, ending="well")]
    assert lessons(uses, NOW) == ("imprimante  BLOQUEE !",)


def test_the_strongest_come_first_and_only_so_many() -> None:
    weak = [use(f"question {number}", ending="well", days=30) for number in range(20)]
    strong = [use("souvent", member, ending="well") for member in (1, 2)]
    found = lessons([*weak, *strong], NOW)
    assert found[0] == "souvent"
    assert len(found) == MAX_QUERIES


def test_one_member_counts_once_for_a_question() -> None:
    often = [use("insistante", ending="well", days=day) for day in range(6)]
    shared = [use("partagée", member, ending="well", days=10) for member in (2, 3)]
    assert lessons([*often, *shared], NOW) == ("partagée", "insistante")


def test_time_weakens_and_in_the_end_forgets() -> None:
    older, newer = use("ancienne", ending="well", days=200), use("nouvelle", ending="well", days=2)
    assert lessons([older, newer], NOW) == ("nouvelle", "ancienne")
    assert lessons([use("oubliée", ending="well", days=RETENTION.days)], NOW) == ()
    assert lessons([use("faible", member, days=340) for member in (1, 2, 3)], NOW) == ()


def test_those_it_did_not_help_speak_against_it() -> None:
    helped, did_not = use("dns", 1, ending="well"), [use("dns", member, ending="badly") for member in (2, 3)]
    assert lessons([helped, did_not[0]], NOW) == ("dns",)
    assert lessons([helped, *did_not], NOW) == ()


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("  rien \t ne\ns'imprime ", "rien ne s'imprime"),
        ("Mme Dupont 02 99 00 11 22 : écran noir", "Mme Dupont : écran noir"),
        ("+33299001122 rappeler", "rappeler"),
        ("compte jean.dupont@example.org bloqué", "compte bloqué"),
        ("erreur 0x80070005", "erreur 0x80070005"),
        ("KB5034441 échoue", "KB5034441 échoue"),
        ("192.168.1.250 ne répond pas", "192.168.1.250 ne répond pas"),
        ("02.99.00.11.22 sonne", "sonne"),
        ("\u202ecaché\u0000", "caché"),
        ("", ""),
        ("a" * 100_000, "a" * 256),
    ],
)
def test_a_question_is_kept_without_whom_it_is_about(raw: str, kept: str) -> None:
    assert clean(raw) == kept


def test_the_same_question_however_written() -> None:
    assert norm("L’imprimante HP est-elle BLOQUÉE ?") == norm("l'imprimante hp est elle bloquee")
    assert norm("?!…") == ""


def test_few_runs_prove_little() -> None:
    assert wilson(0, 0) == 0
    assert wilson(3, 3) < wilson(30, 31) < 1
    assert wilson(16, 16) == pytest.approx(0.806, abs=0.001)
    assert success_weight(Outcome(document="p", well=4, total=4)) == 0
    assert 0 < success_weight(Outcome(document="p", well=14, total=16)) < SUCCESS_WEIGHT
    assert success_weight(Outcome(document="p", well=3, total=16)) < success_weight(
        Outcome(document="p", well=14, total=16)
    )


def test_a_review_counts_less_from_day_to_day() -> None:
    today = date(2026, 11, 24)
    ages = [0, 100, 300, freshness.FADES.days, 900]
    weights = [freshness.weight((today - timedelta(days=days)).isoformat(), today) for days in ages]
    assert freshness.WEIGHT == weights[0] > weights[1] > weights[2] > 0
    assert weights[3:] == [0, 0]
    assert freshness.weight("", today) == freshness.weight("yesterday", today) == 0
    assert freshness.weight((today + timedelta(days=3)).isoformat(), today) == weights[0]

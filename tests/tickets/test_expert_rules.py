"""Pure rules of calling an expert: scores with their reasons, circles that widen."""

from __future__ import annotations

from typing import Any

from tickets.escalation.model import LAST_CIRCLE, Candidate, next_circle, rank, rank_all


def candidate(number: int, **more: Any) -> Candidate:
    known = {"name": f"M{number}", "level": 2, "available": True, "departements": ()}
    return Candidate(member_id=number, **{**known, **more})


def ranked(*candidates: Candidate) -> list[Any]:
    return rank_all(candidates, skill="impression", departement="35")


def ids(people: Any) -> list[int]:
    return [item.candidate.member_id for item in people]


def test_a_score_is_the_sum_of_the_reasons_that_are_shown() -> None:
    found = rank(candidate(1, level=3, departements=("35",), load=2, helped=4), skill="impression", departement="35")
    assert found.score == sum(reason.points for reason in found.reasons)
    assert [reason.message for reason in found.reasons] == [
        "Teaches {skill}",
        "Available now",
        "Works in {departement}",
        "Knows this client (tickets: {count})",
        "Open tickets: {count}",
    ]


def test_level_comes_before_nearness_and_availability_before_level() -> None:
    teacher, neighbour = candidate(1, level=3), candidate(2, level=1, departements=("35",))
    away = candidate(3, level=3, available=False, departements=("35",), helped=9)
    assert ids(ranked(away, neighbour, teacher)) == [1, 2, 3]


def test_nearness_decides_between_equals_and_only_in_the_clients_departement() -> None:
    assert ids(ranked(candidate(1, departements=("22",)), candidate(2, departements=("35",)))) == [2, 1]
    assert rank_all([candidate(1, departements=("35",))], skill="x", departement="")[0].score == 45


def test_who_has_less_to_do_is_asked_first_up_to_a_bound() -> None:
    assert ids(ranked(candidate(1, load=3), candidate(2, load=1), candidate(3))) == [3, 2, 1]
    assert ranked(candidate(1, load=6))[0].score == ranked(candidate(1, load=60))[0].score


def test_equal_scores_are_ordered_by_name() -> None:
    assert ids(ranked(candidate(2, name="Zoé"), candidate(1, name="Anne"))) == [1, 2]


def test_circles_widen_from_two_to_five_to_everyone_available_to_everyone() -> None:
    people = ranked(*(candidate(number) for number in range(1, 9)), candidate(9, available=False))
    asked: set[int] = set()
    sizes = []
    circle = 0
    while True:
        circle, found = next_circle(people, asked=asked, circle=circle)
        if not found:
            break
        assert not asked & set(ids(found)), "nobody is asked twice"
        asked |= set(ids(found))
        sizes.append((circle, len(found)))
    assert sizes == [(1, 2), (2, 3), (3, 3), (4, 1)]
    assert asked == set(range(1, 10))


def test_a_circle_without_anyone_new_is_passed_over() -> None:
    people = ranked(candidate(1), candidate(2, available=False))
    assert next_circle(people, asked={1}, circle=1) == (LAST_CIRCLE, (people[1],))


def test_when_nobody_is_available_everyone_is_asked_at_once() -> None:
    people = ranked(candidate(1, available=False), candidate(2, available=False))
    circle, found = next_circle(people, asked=(), circle=0)
    assert circle == LAST_CIRCLE
    assert ids(found) == [1, 2]


def test_nobody_is_left_after_the_last_circle() -> None:
    people = ranked(candidate(1))
    assert next_circle(people, asked={1}, circle=LAST_CIRCLE) == (LAST_CIRCLE, ())


def test_who_became_available_meanwhile_is_asked_before_those_who_are_away() -> None:
    people = ranked(candidate(1), candidate(2, available=False), candidate(3))
    assert next_circle(people, asked={1}, circle=1) == (2, (people[1],))
    assert ids([people[1]]) == [3]

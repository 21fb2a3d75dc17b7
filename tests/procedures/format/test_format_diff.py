"""Two versions side by side: what changed, and nothing else."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compagnon.markup.differences import Kind, pieces
from procedures.format import parse
from procedures.format.diff import diff
from procedures.format.duration import Duration
from procedures.format.model import Step

HEAD = "---\nid: imp-001\ntype: install\ntitle: Essai\nlocale: fr\nrisk: low\n---\nContexte.\n\n## Étapes\n\n"
STEPS = [
    "### a: Ouvrez le menu\n\n- info: Pourquoi.",
    "### b: Fermez le menu\n\nTexte.",
    "### c: Attendez",
    "### d: Finissez",
]


def document(*steps: str, head: str = HEAD, end: str = "## Résultat\n\nTout va.\n") -> str:
    return head + "\n\n".join(steps) + "\n\n" + end


def changes(before: str, after: str) -> dict[str, tuple[str, bool]]:
    return {step.id: (str(step.kind), step.moved) for step in diff(parse(before), parse(after)).changed_steps}


BASE = document(*STEPS)


def test_the_same_text_has_no_difference():
    found = diff(parse(BASE), parse(BASE.replace("\n\n", "\n\n\n")))
    assert found.is_empty
    assert [step.kind for step in found.steps] == [Kind.SAME] * 4


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([0, 1, 2], {"d": ("removed", False)}),
        ([1, 2, 3], {"a": ("removed", False)}),
        ([0, 2, 1, 3], None),
        ([3, 0, 1, 2], {"d": ("same", True)}),
        ([1, 2, 3, 0], {"a": ("same", True)}),
        ([], dict.fromkeys("abcd", ("removed", False))),
    ],
)
def test_steps_are_aligned_by_id(order, expected):
    found = changes(BASE, document(*(STEPS[number] for number in order)))
    if expected is None:
        assert list(found.values()) == [("same", True)]
    else:
        assert found == expected


def test_an_added_step_stands_where_it_was_added_and_a_removed_one_where_it_was():
    after = document(STEPS[0], "### n: Ajoutez du papier", STEPS[2], STEPS[3])
    found = diff(parse(BASE), parse(after))
    assert [(step.id, step.kind) for step in found.steps] == [
        ("a", Kind.SAME), ("b", Kind.REMOVED), ("n", Kind.ADDED), ("c", Kind.SAME), ("d", Kind.SAME),
    ]  # fmt: skip
    assert found.steps[1].after is None
    assert isinstance(found.steps[2].after, Step)


def test_words_that_changed_are_named():
    found = diff(parse(BASE), parse(BASE.replace("Ouvrez le menu", "Ouvrez le grand menu")))
    (step,) = found.changed_steps
    (field,) = step.fields
    assert (step.id, step.kind, field.name) == ("a", Kind.CHANGED, "title")
    assert [(piece.kind, piece.text) for piece in field.pieces] == [
        (Kind.SAME, "Ouvrez le "), (Kind.ADDED, "grand "), (Kind.SAME, "menu"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("risk: low", "risk: high", ("metadata", "risk")),
        ("title: Essai", "title: Autre", ("metadata", "title")),
        ("Contexte.", "Autre contexte.", ("sections", "context")),
        ("Tout va.", "Tout va bien.", ("sections", "result")),
        ("Tout va.", "Tout va.\n\n- check: {service: {cups: {running: true}}}", ("sections", "result.check")),
        ("Tout va.", "Tout va.\n\n## Après l'intervention\n\nRangez.", ("sections", "after")),
    ],
)
def test_what_is_outside_the_steps_is_compared_too(old, new, where):
    found = diff(parse(BASE), parse(BASE.replace(old, new)))
    assert [field.name for field in getattr(found, where[0])] == [where[1]]
    assert found.changed_steps == ()
    assert not found.is_empty


@pytest.mark.parametrize(
    ("line", "name"),
    [("- phone: Bonjour.", "phone"), ("- check: {service: {cups: {running: true}}}", "check"),
     ("- evidence: note", "evidence"),
     ("- on_fail: {then: {escalate: reseau}}", "on_fail"), ("- rollback: Revenez.", "rollback"),
      ("- show: menu", "show")],
)  # fmt: skip
def test_every_field_is_compared(line, name):
    found = diff(parse(BASE), parse(BASE.replace("- info: Pourquoi.", "- info: Pourquoi.\n" + line)))
    assert [field.name for field in found.changed_steps[0].fields] == [name]
    assert found.changed_steps[0].fields[0].before is None


def test_conformity_and_desktop_are_compared():
    text = "---\nid: p\ntype: environment\ntitle: P\nlocale: fr\n---\n"
    text += "## Conformité\n\n### a: Un\n\n- repair: imp-001\n\n"
    text += "## Bureau\n\n```yaml\npanel:\n  position: top\n```\n"
    found = diff(parse(text), parse(text.replace("imp-001", "imp-002").replace("top", "left")))
    assert [(step.id, [field.name for field in step.fields]) for step in found.changed_steps] == [("a", ["repair"])]
    assert [field.name for field in found.sections] == ["desktop"]


words = st.lists(st.sampled_from(["un ", "deux ", "trois", ", ", "\n", "é", "{{ip}}"]), max_size=30).map("".join)


@given(words, words)
def test_the_pieces_give_both_texts_back(before, after):
    found = pieces(before, after)
    assert "".join(piece.text for piece in found if piece.kind is not Kind.ADDED) == before
    assert "".join(piece.text for piece in found if piece.kind is not Kind.REMOVED) == after
    if before == after:
        assert all(piece.kind is Kind.SAME for piece in found)


@given(st.permutations("abcdefgh"), st.sets(st.sampled_from("abcdefgh")))
def test_every_step_is_listed_once(order, kept):
    base = parse(document(*STEPS[:1]))
    before = replace(base, steps=tuple(Step(id=name, title=name) for name in "abcdefgh"))
    after = replace(base, steps=tuple(Step(id=name, title=name) for name in order if name in kept))
    found = diff(before, after)
    assert sorted(step.id for step in found.steps) == list("abcdefgh")
    assert [step.id for step in found.steps if step.after] == [step.id for step in after.steps]
    assert {step.id for step in found.steps if step.kind is Kind.REMOVED} == set("abcdefgh") - kept
    assert found.is_empty == (len(kept) == 8 and list(order) == list("abcdefgh"))


@pytest.mark.parametrize("size", [900, 5_000, 60_000])
def test_large_texts_cost_little(size):
    before, after = " ".join(["mot"] * size), " ".join(["mot", "autre"] * (size // 2))
    start = time.process_time()
    pieces(before, after)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("text", ["PT10M", "PT1H30M", "P6M", "P1Y2M3W4DT5H6M7S"])
def test_durations_are_written_as_they_are_read(text):
    assert str(Duration.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "PT0M", "10M", "P10", "PT1.5H", "-PT1M", "P1YT", "pt10m", "PT99999999M", "P6M "]
)
def test_what_is_not_a_duration_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        Duration.parse(text)


def test_durations_count_minutes_and_follow_the_calendar():
    from datetime import date

    assert Duration.parse("PT1H30M").minutes_total == 90
    assert Duration.parse("PT30S").minutes_total == 1
    assert Duration.parse("P6M").after(date(2024, 8, 31)) == date(2025, 2, 28)
    assert Duration.parse("P1Y1W").after(date(2024, 2, 29)) == date(2025, 3, 7)

"""A procedure's draft from an article: its own words, readable as a procedure, whatever they are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.articles.model import Content, Solution
from procedures.library import texts
from procedures.library.article_links import drafted, steps_of

REMEDY = """1. Videz la file : `cancel -a`.
2. Relancez le service.
   Attendez dix secondes.

   ```sh
   systemctl restart cups
   1. ceci n'est pas une étape
   ```
3. Imprimez une page de test."""


def test_each_item_of_the_remedy_is_a_step() -> None:
    content = Content(
        title="File bloquée",
        condition="Rien ne sort.",
        solutions=[Solution(remedy=REMEDY)],
        skills=["impression"],
        applies_to=["poste-debian-12"],
    )
    reading = texts.read(drafted(content, "fr"))
    assert reading.procedure is not None
    assert [step.title for step in reading.procedure.steps] == [
        "Videz la file : cancel -a",
        "Relancez le service",
        "Imprimez une page de test",
    ]
    assert "Décrivez" not in reading.text
    assert reading.procedure.title == "File bloquée"
    assert reading.procedure.applies_to == ("poste-debian-12",)
    assert reading.procedure.perskill == ("impression",)
    assert "Rien ne sort." in texts.plain(reading.procedure.context)
    assert "systemctl restart cups" in texts.plain(reading.procedure.steps[1].body)


@pytest.mark.parametrize(
    ("remedy", "steps"),
    [
        ("Un seul paragraphe\nsur deux lignes.", 1),
        ("Un paragraphe.\n\nUn autre.", 2),
        ("Avant la liste :\n- a\n- b", 3),
        ("", 0),
        ("```\n1. code\n```", 1),
    ],
)
def test_without_a_list_its_paragraphs_are_the_steps(remedy: str, steps: int) -> None:
    assert len(steps_of(remedy)) == steps


SIGNS = st.text(st.sampled_from("ab1.)-*#>`~{}[]|\n :/!<\t\"'é"), max_size=120)


@settings(max_examples=150, deadline=None)
@given(SIGNS, SIGNS)
def test_whatever_an_article_says_is_readable_as_a_procedure(remedy: str, condition: str) -> None:
    content = Content(title="Titre : 'x' # {", condition=condition, solutions=[Solution(remedy=f"- a\n{remedy}")])
    reading = texts.read(texts.clean(drafted(content, "en")))
    assert reading.procedure is not None, reading.findings
    assert reading.procedure.steps

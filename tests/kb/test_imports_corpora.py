"""The real collections: every document gives an article or says why not. Skipped where they are not at hand."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from imports_parts import CORPORA

from kb.imports.formats import front
from kb.imports.model import Order
from kb.imports.plan import Plan, planned
from kb.imports.reading import read_folder

ANCHOR = re.compile(r'<a name="[^"]*">')
ADDRESS = re.compile(r"\]\([^)]*\)")
LABEL = re.compile(r"^\[[^\]]*\]:.*$", re.MULTILINE)
EXPECTED = {
    "alchemy-insights-fr": ("alchemy", 992, {"other-file": 1}),
    "gnome-help-fr": ("mallard", 40, {"not-a-problem": 210, "index": 43, "other-file": 1}),
    "openshift-runbooks": (
        "runbooks",
        266,
        {"other-file": 27, "deprecated": 3, "index": 2, "moved": 2, "template": 1},
    ),
    "rocky-fr": ("rocky", 61, {"index": 6, "legal": 1}),
}


def plan_of(name: str) -> Plan:
    if not (CORPORA / name).is_dir():
        pytest.skip("the collections are not here (COMPAGNON_CORPORA)")
    return planned(read_folder(CORPORA / name), Order(name=name))


@pytest.mark.parametrize("name", EXPECTED)
def test_every_document_is_read_or_left_out_for_a_reason(name: str) -> None:
    plan = plan_of(name)
    found = Counter(str(one.reason) for one in plan.skipped)
    assert (plan.format.name, len(plan.articles), found) == EXPECTED[name]
    assert len({one.path for one in plan.articles}) == len(plan.articles)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_read_is_whole_and_clean(name: str) -> None:
    for one in plan_of(name).articles:
        text = "\n".join((one.condition, one.cause, one.remedy))
        assert one.title, one.path
        assert one.remedy, one.path
        assert one.licence, one.path
        assert one.locale == ("en" if name == "openshift-runbooks" else "fr"), one.path
        assert "\x00" not in text, one.path
        assert "\n:::" not in text, one.path
        assert "](data:" not in text, one.path


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "gnome-help-fr"])
def test_hardly_a_word_is_lost(name: str) -> None:
    """What goes is markup: the names of sections that an article has of its own, signs of notes, labels of links."""
    there = lost = 0
    for one in plan_of(name).articles:
        _, text = front.split((CORPORA / name / one.path).read_text("utf-8"))
        before = words(LABEL.sub("", ADDRESS.sub("]", ANCHOR.sub("", text))))
        after = words(ADDRESS.sub("]", "\n".join((one.title, one.condition, one.cause, one.remedy))))
        there += before.total()
        lost += (before - after).total()
    assert lost < 0.012 * there


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w{3,}", text))


def test_a_step_of_the_branching_diagnosis_leads_to_the_next() -> None:
    pages = {one.path: one for one in plan_of("gnome-help-fr").articles}
    check = pages["net-wireless-troubleshooting-hardware-check.page"]
    assert "(article:net-wireless-troubleshooting-device-drivers.page)" in check.remedy
    assert check.title == "Dépannage de la connexion sans fil — Vérifier si l’adaptateur sans fil a été reconnu"
    assert "1. Ouvrez un terminal, saisissez `lshw -C network` et appuyez sur **Entrée**." in check.remedy

"""Every text has its French: of every package, in Python and in templates."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from compagnon.i18n import extract
from compagnon.i18n.extract import Found

PACKAGES = ("compagnon", "kb", "procedures", "remote", "tickets")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_message_is_translated(package: str) -> None:
    assert extract.problems(package) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_catalogue_holds_what_is_no_longer_used(package: str) -> None:
    used = {found.singular for found in extract.messages(package)}
    kept = {extract._key(message) for message in extract.read_catalogue(package, "fr") if message.id}
    assert kept - used == set()


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "code.py").write_text(
        'a = N_("From Python")\nraise Conflict("An error {name}", name=1)\ntoast(request, "A toast")\n'
        'form.refuse("field", "A refusal")\ntoast(request, N_("Nested") if a else N_("Other"))\n'
        'ngettext("{n} box", "{n} boxes", 2)\n'
    )
    (tmp_path / "templates" / "page.html").write_text('<p title="{{ _(\'In an attribute\') }}">{{ _("In text") }}</p>')
    monkeypatch.setattr(extract, "package_folder", lambda package: tmp_path)
    return tmp_path


def test_all_places_of_a_message_are_known(sample: Path) -> None:
    assert {found.singular for found in extract.messages("sample")} == {
        "From Python",
        "An error {name}",
        "A toast",
        "A refusal",
        "Nested",
        "Other",
        "{n} box",
        "In an attribute",
        "In text",
    }


def test_updating_adds_and_takes_out_and_keeps(sample: Path) -> None:
    assert extract.update("sample", "fr") == (9, 0)
    path = extract.catalogue_path("sample", "fr")
    path.write_text(path.read_text().replace('msgid "In text"\nmsgstr ""', 'msgid "In text"\nmsgstr "Dans le texte"'))
    (sample / "code.py").write_text("")
    assert extract.update("sample", "fr") == (0, 7)
    assert 'msgstr "Dans le texte"' in path.read_text()
    assert len(extract.problems("sample")) == 1


@pytest.mark.parametrize(
    ("singular", "plural", "string", "fuzzy", "reason"),
    [
        ("Hello {name}", "", "Bonjour {name}", False, ""),
        ("Hello {name}", "", "Bonjour", False, "other {fields} than the source"),
        ("Hello {name}", "", "Bonjour {nom}", False, "other {fields} than the source"),
        ("Hello", "", "Bonjour", True, "marked fuzzy"),
        ("Hello", "", "", False, "not translated"),
        ("One box", "{n} boxes", ("Une boîte", "{n} boîtes"), False, ""),
        ("{n} box", "{n} boxes", ("{n} boîte", ""), False, "not translated"),
        ("{n} box", "{n} boxes", "boîte", False, "singular and plural do not match the source"),
    ],
)
def test_what_is_wrong_with_a_translation(singular, plural, string, fuzzy, reason) -> None:
    catalogue = Catalog(locale="fr")
    message = catalogue.add((singular, plural) if isinstance(string, tuple) else singular, string)
    if fuzzy:
        message.flags.add("fuzzy")
    assert extract._problem(Found(singular=singular, plural=plural, where="x"), message) == reason

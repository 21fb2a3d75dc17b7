from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from compagnon.i18n import formats, gettext, negotiate, ngettext, use_locale
from compagnon.web.environment import browser_name, json_data, translate, translate_plural


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", "fr"),
        ("en", "en"),
        ("en-GB,fr;q=0.8", "en"),
        ("de,en;q=0.5,fr;q=0.9", "fr"),
        ("de", "fr"),
        ("*", "fr"),
        ("en;q=0", "fr"),
        ("en;q=x", "fr"),
        ("en;level=1", "fr"),
        (",;,;q=", "fr"),
        ("x" * 100_000 + ",en", "fr"),
    ],
)
def test_the_language_of_a_visitor(header: str, locale: str) -> None:
    assert negotiate(header, "fr") == locale


def test_messages_and_their_fields(french: None) -> None:
    with use_locale("fr"):
        assert gettext("Saved.") == "C’est enregistré."
        assert gettext("Welcome, {name}.", name="{x}") == "Bienvenue, {x}."
        assert gettext("not in any catalogue") == "not in any catalogue"
        assert ngettext("{n} min", "{n} min", 2) == "2 min"
        assert gettext("") == ""
    with use_locale("en"):
        assert gettext("Saved.") == "Saved."


async def test_each_task_has_its_own_language(french: None) -> None:
    async def say(locale: str) -> str:
        with use_locale(locale):
            await asyncio.sleep(0)
            return gettext("Saved.")

    assert await asyncio.gather(say("fr"), say("en"), say("fr")) == ["C’est enregistré.", "Saved.", "C’est enregistré."]


def test_templates_escape_message_and_fields(french: None) -> None:
    with use_locale("fr"):
        assert str(translate("Welcome, {name}.", name="<b>")) == "Bienvenue, &lt;b&gt;."
        assert str(translate_plural("{n} min", "{n} min", 12_345)) == "12\u202f345 min"


def test_json_in_a_script_element_cannot_end_it() -> None:
    assert "</script>" not in json_data({"x": "</script><!--&"})


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        (
            "fr",
            [
                "23 nov. 2026",
                "23 nov. 2026 15:05",
                "15:05",
                "il y a 3 minutes",
                "12\u202f345,6",
                "3,4 Mo",
                "2 h 05 min",
            ],
        ),
        ("en", ["23 Nov 2026", "23 Nov 2026 15:05", "15:05", "3 minutes ago", "12,345.6", "3.4 MB", "2 h 05 min"]),
    ],
)
def test_formats(french: None, locale: str, expected: list[str]) -> None:
    moment = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
    with use_locale(locale):
        shown = [
            formats.date(moment),
            formats.moment(moment),
            formats.time(moment),
            formats.relative(moment, now=moment + timedelta(minutes=3)),
            formats.number(12345.6),
            formats.filesize(3_400_000),
            formats.duration(timedelta(hours=2, minutes=5, seconds=9)),
        ]
    assert shown == expected


def test_formats_at_their_edges(french: None) -> None:
    moment = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    with use_locale("fr"):
        assert formats.date(moment) == "24 nov. 2026"  # it is tomorrow already in Paris
        assert formats.date(date(2026, 1, 2)) == "2 janv. 2026"
        assert formats.relative(moment, now=moment) == "à l’instant"
        assert formats.relative(moment, now=moment - timedelta(days=2)) == "dans 2 jours"
        assert [formats.duration(seconds) for seconds in (0, 59, 60, 3599)] == ["0 s", "59 s", "1 min", "59 min"]
        nothing = (formats.date, formats.moment, formats.time, formats.relative, formats.number, formats.filesize)
        assert [show(None) for show in nothing] == [""] * 6
    assert formats.iso(moment) == "2026-11-23T23:30:00Z"
    assert formats.iso(None) == ""


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome, Android"),
        ("curl/8", "curl/8"),
        ("", "?"),
    ],
)
def test_browsers_are_named_as_people_do(agent: str, name: str) -> None:
    assert browser_name(agent) == name

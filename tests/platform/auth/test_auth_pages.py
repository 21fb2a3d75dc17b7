from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

import pytest

from compagnon.auth.account_web import moment_of
from compagnon.auth.sign_in_web import inside
from compagnon.i18n.formats import ZONE
from compagnon.kernel import Kernel
from compagnon.web import csrf

PASSWORD = "correct horse battery"


async def signed_in(client, email="alice@example.org", password=PASSWORD, **more):
    page = await client.get("/sign-in")
    token = page.text.split(f'name="{csrf.FIELD}" value="')[1].split('"')[0]
    return await client.post("/sign-in", data={"email": email, "password": password, csrf.FIELD: token, **more})


async def test_signing_in_and_out(client_of, people) -> None:
    visitor = await client_of()
    answer = await signed_in(visitor, next="/clients?q=x")
    assert (answer.status_code, answer.headers["location"]) == (303, "/clients?q=x")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("compagnon="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    account = await visitor.get("/account")
    assert "Bienvenue, Alice Martin." in account.text
    token = account.text.split(f'name="{csrf.FIELD}" value="')[1].split('"')[0]
    out = await visitor.post("/sign-out", data={csrf.FIELD: token})
    assert out.headers["location"] == "/sign-in"
    assert '"cache"' in out.headers["clear-site-data"]
    assert (await visitor.get("/account")).status_code == 303


async def test_signing_in_needs_the_token_of_the_page(client_of, people) -> None:
    visitor = await client_of()
    answer = await visitor.post("/sign-in", data={"email": "alice@example.org", "password": PASSWORD})
    assert answer.status_code == 403


async def test_a_wrong_password_keeps_the_address_and_not_the_password(client_of, people) -> None:
    answer = await signed_in(await client_of(), password="wrong wrong wrong")
    assert answer.status_code == 403
    assert "faux" in answer.text
    assert 'value="alice@example.org"' in answer.text
    assert "wrong wrong" not in answer.text


async def test_too_many_tries_say_how_long(client_of, people) -> None:
    visitor = await client_of()
    for _ in range(5):
        await signed_in(visitor, password="wrong wrong wrong")
    answer = await signed_in(visitor)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Attendez 15 min" in answer.text


async def test_a_token_planted_before_sign_in_is_worth_nothing_after(client_of, people) -> None:
    visitor = await client_of()
    visitor.cookies.set("compagnon", "planted-by-an-attacker-planted-by-an-attacker")
    await signed_in(visitor)
    assert visitor.cookies.get("compagnon", domain="compagnon.test") != "planted-by-an-attacker-planted-by-an-attacker"


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "", "/sign-out", "/a\nb"]
)
def test_sign_in_leads_nowhere_else(wanted: str) -> None:
    assert inside(wanted) == "/"


def test_sign_in_leads_back() -> None:
    assert inside("/clients/3?q=a b") == "/clients/3?q=a b"


async def test_visitors_choose_their_language(client_of) -> None:
    visitor = await client_of()
    page = await visitor.get("/sign-in", headers={"accept-language": "en-GB,fr;q=0.5"})
    assert "<h1>Compagnon</h1>" in page.text
    assert "Sign in" in page.text
    token = page.text.split(f'name="{csrf.FIELD}" value="')[1].split('"')[0]
    await visitor.post("/language", data={"locale": "fr", "next": "/sign-in", csrf.FIELD: token})
    assert "Se connecter" in (await visitor.get("/sign-in", headers={"accept-language": "en"})).text


async def test_members_choose_theme_and_language(client_of, people) -> None:
    client = await client_of(people.alice)
    answer = await client.post("/account/preferences", data={"theme": "dark", "locale": "en", "next": "/clients"})
    assert answer.headers["location"] == "/clients"
    page = await client.get("/clients")
    assert 'data-bs-theme="dark"' in page.text
    assert 'lang="en"' in page.text
    assert "Your settings are kept." in page.text
    assert (await client.post("/account/preferences", data={"theme": "pink"})).status_code == 422


async def test_availability_is_said_in_one_click(client_of, people, bare: Kernel) -> None:
    client = await client_of(people.alice)
    await client.post("/account/availability", data={"available": "no", "until": "1h"})
    alice = await bare.members.get(people.alice.id)
    assert not alice.available
    assert alice.available_until is not None
    assert "absent" in (await client.get("/members")).text


async def test_changing_the_password_keeps_this_device_only(client_of, people) -> None:
    here, there = await client_of(people.alice), await client_of(people.alice)
    values = {"old": PASSWORD, "password": "a quite new password", "again": "a quite new password"}
    wrong = await here.post("/account/password", data={**values, "old": "wrong"})
    assert wrong.status_code == 422
    assert "Le mot de passe est faux." in wrong.text
    assert (await here.post("/account/password", data={**values, "again": "other"})).status_code == 422
    assert (await here.post("/account/password", data=values)).status_code == 303
    here.cookies.delete("compagnon", domain="")
    assert (await here.get("/account")).status_code == 200
    assert (await there.get("/account")).status_code == 303


async def test_one_closes_only_ones_own_devices(client_of, people, bare: Kernel) -> None:
    await client_of(people.ada)
    async with bare.db.connection() as conn:
        row = await (await conn.execute("SELECT id FROM sign_ins")).fetchone()
    assert row is not None
    alice = await client_of(people.alice)
    assert (await alice.post(f"/account/devices/{row[0]}/sign-out")).status_code == 404


class TestAdministration:
    NEW: ClassVar = {"email": "eva@example.org", "name": "Éva", "role": "member", "locale": "fr", "password": PASSWORD}

    async def test_an_administrator_adds_a_member(self, client_of, people) -> None:
        client = await client_of(people.ada)
        answer = await client.post("/members/new", data={**self.NEW, "departements": "35, 2a", "skill-reseau": "3"})
        assert answer.status_code == 303
        page = await client.get(answer.headers["location"])
        assert "Éva" in page.text
        assert "2A, 35" in page.text
        assert "Réseau" in page.text

    async def test_what_was_typed_stays_when_refused(self, client_of, people) -> None:
        client = await client_of(people.ada)
        answer = await client.post("/members/new", data={**self.NEW, "email": "alice@example.org"})
        assert answer.status_code == 422
        assert "Un membre a déjà cette adresse mail." in answer.text
        assert 'value="Éva"' in answer.text
        short = await client.post("/members/new", data={**self.NEW, "password": "short"})
        assert "au moins 12 caractères" in short.text

    @pytest.mark.parametrize("path", ["/members/new", "/members/1/edit", "/members/1/active", "/members/1/password"])
    async def test_nobody_else_may(self, client_of, people, path: str) -> None:
        for member in (people.alice, people.chloe):
            client = await client_of(member)
            assert (await client.post(path, data=self.NEW)).status_code == 403

    async def test_filters(self, client_of, people) -> None:
        client = await client_of(people.alice)
        shown = (await client.get("/members?skill=impression&departement=35")).text
        assert "/members/1" in shown
        assert f'href="/members/{people.ada.id}"' not in shown
        assert "Aucun membre ne correspond" in (await client.get("/members?q=nobody")).text


NOON = datetime(2026, 11, 25, 12, tzinfo=ZONE)  # a Wednesday


@pytest.mark.parametrize(
    ("choice", "end"),
    [
        ("", None),
        ("2h", datetime(2026, 11, 25, 14, tzinfo=ZONE)),
        ("evening", datetime(2026, 11, 25, 18, tzinfo=ZONE)),
        ("morning", datetime(2026, 11, 26, 8, tzinfo=ZONE)),
        ("monday", datetime(2026, 11, 30, 8, tzinfo=ZONE)),
    ],
)
def test_what_the_menu_of_times_means(choice: str, end: datetime | None) -> None:
    assert moment_of(choice, NOON.astimezone(UTC)) == end


def test_this_evening_said_at_night_is_tomorrow_evening() -> None:
    assert moment_of("evening", datetime(2026, 11, 25, 22, tzinfo=ZONE)) == datetime(2026, 11, 26, 18, tzinfo=ZONE)

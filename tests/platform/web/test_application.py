"""The application around the features: who gets in, what every answer carries, what a refusal looks like."""

from __future__ import annotations

import json
import logging

import httpx
import pytest
from litestar import Litestar
from litestar.exceptions import ImproperlyConfiguredException

from compagnon.kernel import Kernel
from compagnon.web import csrf
from compagnon.web.application import build
from compagnon.web.feature import Feature
from compagnon.web.headers import content_security_policy


async def test_every_page_needs_sign_in_and_leads_back(client_of) -> None:
    visitor = await client_of()
    answer = await visitor.get("/clients?q=le fournil")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/clients%3Fq%3Dle%2520fournil"
    assert (await visitor.get("/clients", headers={"accept": "application/json"})).status_code == 401
    part = await visitor.get("/clients", headers={"hx-request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/sign-in?next=/")


def test_no_route_is_public_by_accident(application: Litestar) -> None:
    public = {
        path
        for route in application.routes
        for handler in getattr(route, "route_handlers", ())
        if handler.opt.get("public")
        for path in handler.paths
    }
    known = {"/static/{digest:str}/{name:path}", "/{rest:path}", "/sign-in", "/sign-out", "/language", "/machine"}
    assert public == known


def test_openapi_is_off(application: Litestar) -> None:
    assert application.openapi_config is None


@pytest.mark.parametrize("path", ["/sign-in", "/nowhere", "/members/x/y", "/members/notanumber", "/static/0/none.js"])
async def test_every_answer_carries_the_security_headers(client_of, path: str) -> None:
    headers = (await (await client_of()).get(path)).headers
    policy = headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers


async def test_over_https_hsts_and_host_bound_cookies(bare: Kernel) -> None:
    from dataclasses import replace

    secure = replace(bare, settings=replace(bare.settings, public_url="https://compagnon.test"))
    transport = httpx.ASGITransport(app=build(secure, []))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="https://compagnon.test") as client:
        answer = await client.get("/sign-in", headers={"accept": "text/html"})
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    assert "upgrade-insecure-requests" in answer.headers["content-security-policy"]
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-compagnon_visitor=")
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))


async def test_only_the_terminal_page_may_add_styles(client_of, people) -> None:
    answer = await (await client_of(people.alice)).get("/terminal")
    assert "style-src 'self' 'unsafe-inline'" in answer.headers["content-security-policy"]
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    assert "wasm" not in content_security_policy({}, secure=False)
    assert "'wasm-unsafe-eval'" in content_security_policy({"wasm": True}, secure=False)


async def test_pages_hold_no_inline_script_or_style(client_of, people) -> None:
    client = await client_of(people.ada)
    for path in ("/sign-in", "/clients", "/clients/new", "/members", "/members/new", "/account", "/nowhere"):
        html = (await client.get(path)).text
        assert " style=" not in html, path
        assert " onclick=" not in html, path
        assert "hx-on" not in html, path
        for script in html.split("<script")[1:]:
            assert "src=" in script.split(">")[0] or 'type="application/json"' in script.split(">")[0], path


@pytest.mark.parametrize(
    ("what", "status", "words"),
    [
        ("missing", 404, "Ce client n’existe pas."),
        ("forbidden", 403, "Seul un relecteur peut faire cela."),
        ("conflict", 409, "C’est déjà fait."),
        ("invalid", 422, "« &lt;b&gt;x&lt;/b&gt; » n’est pas un numéro de téléphone."),
        ("many", 429, "Attendez 3 min"),
        ("fault", 500, "Rien de ce que vous avez fait n’est perdu."),
    ],
)
async def test_refusals_are_pages_in_the_members_language(
    client_of, people, what: str, status: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = await client_of(people.alice)
    with caplog.at_level(logging.ERROR):
        answer = await client.get(f"/trial/{what}")
    assert answer.status_code == status
    assert words in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert "secret detail" not in answer.text
    assert (answer.headers["x-request-id"] in caplog.text) == (status == 500)
    assert ("retry-after" in answer.headers) == (status == 429)


async def test_refusals_for_scripts_are_json_and_for_htmx_a_toast(client_of, people) -> None:
    client = await client_of(people.alice)
    plain = await client.get("/trial/conflict", headers={"accept": "application/json"})
    assert plain.json()["error"] == "C’est déjà fait."
    part = await client.get("/trial/conflict", headers={"hx-request": "true"})
    assert part.status_code == 409
    assert part.headers["hx-reswap"] == "none"
    said = json.loads(part.headers["hx-trigger"])["toasts"]["items"]
    assert said == [{"text": "C’est déjà fait.", "kind": "warning"}]


async def test_unknown_and_unmatched_addresses_are_404_pages(client_of, people) -> None:
    for client in (await client_of(people.alice), await client_of()):
        for path in ("/nowhere", "/members/abc"):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert "<html" in answer.text


async def test_a_wrong_method_is_405(client_of, people) -> None:
    answer = await (await client_of(people.alice)).post("/members/1", data={})
    assert answer.status_code == 405


async def test_roles_are_asked_for(client_of, people) -> None:
    assert (await (await client_of(people.alice)).get("/reviewers")).status_code == 403
    assert (await (await client_of(people.chloe)).get("/reviewers")).text == "welcome"
    assert (await (await client_of(people.ada)).get("/reviewers")).text == "welcome"


async def test_navigation_shows_what_the_member_may_use(client_of, people) -> None:
    assert 'href="/reviewers"' not in (await (await client_of(people.alice)).get("/account")).text
    assert 'href="/reviewers"' in (await (await client_of(people.chloe)).get("/account")).text


class TestForgery:
    async def test_without_the_token_nothing_is_done(self, client_of, people) -> None:
        client = await client_of(people.alice, token=False)
        assert (await client.post("/say", data={"name": "x"})).status_code == 403
        assert (await client.post("/say", data={"name": "x", csrf.FIELD: "0" * 64})).status_code == 403
        assert (await client.post("/say", data={"name": "x", csrf.FIELD: "é"})).status_code == 403

    async def test_another_sign_ins_token_is_worth_nothing(self, client_of, people) -> None:
        client, other = await client_of(people.alice), await client_of(people.alice)
        client.headers[csrf.HEADER] = other.headers[csrf.HEADER]
        assert (await client.post("/say", data={"name": "x"})).status_code == 403

    async def test_another_sites_requests_are_refused_even_with_the_token(self, client_of, people) -> None:
        client = await client_of(people.alice)
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            assert (await client.post("/say", data={"name": "x"}, headers=headers)).status_code == 403, headers

    async def test_the_own_pages_requests_are_accepted(self, client_of, people) -> None:
        client = await client_of(people.alice)
        headers = {"origin": "http://compagnon.test", "sec-fetch-site": "same-origin"}
        assert (await client.post("/say", data={"name": "x"}, headers=headers)).status_code == 200

    async def test_machines_need_no_token(self, client_of) -> None:
        visitor = await client_of()
        assert (await visitor.post("/machine", json={})).json() == {"state": "pending"}


class TestToasts:
    async def test_a_toast_outlives_a_redirect_and_is_shown_once(self, client_of, people) -> None:
        client = await client_of(people.alice)
        answer = await client.post("/say", data={"name": "<i>Ada</i>", "lead": "on"})
        assert answer.status_code == 303
        assert "Bienvenue, &lt;i&gt;Ada&lt;/i&gt;." in (await client.get("/account")).text
        assert "Bienvenue" not in (await client.get("/account")).text

    async def test_a_toast_of_a_fragment_travels_in_a_header(self, client_of, people) -> None:
        client = await client_of(people.alice)
        answer = await client.post("/say", data={"name": "Zoë"}, headers={"hx-request": "true"})
        items = json.loads(answer.headers["hx-trigger"])["toasts"]["items"]
        assert items == [{"text": "Bienvenue, Zoë.", "kind": "success"}]

    async def test_htmx_is_led_on_by_a_header(self, client_of, people) -> None:
        client = await client_of(people.alice)
        answer = await client.post("/say", data={"name": "x", "lead": "on"}, headers={"hx-request": "true"})
        assert (answer.status_code, answer.headers["hx-redirect"]) == (200, "/account")
        assert "location" not in answer.headers

    async def test_a_forged_toast_is_not_shown(self, client_of, people) -> None:
        client = await client_of(people.alice)
        client.cookies.set("compagnon_toasts", "W1sic3VjY2VzcyIsICJmb3JnZWQiXV0=.0000")
        assert "forged" not in (await client.get("/account")).text


def test_a_topic_belongs_to_one_feature(bare: Kernel) -> None:
    async def guard(member: object, key: str) -> bool:
        return True

    features = [Feature(package="compagnon", topics={"ticket": guard}) for _ in range(2)]
    with pytest.raises(ValueError, match="ticket"):
        build(bare, features)


def test_two_routes_for_one_address_end_the_start(bare: Kernel) -> None:
    from litestar import get

    @get("/members")
    async def again() -> str:
        return ""

    with pytest.raises(ImproperlyConfiguredException):
        build(bare, [Feature(package="compagnon", handlers=[again])])

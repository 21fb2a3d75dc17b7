"""Links between tickets: seen from both, refused when doubled or circular, made once, without JavaScript too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from compagnon import audit
from compagnon.audit import Actor
from compagnon.directory.model import ClientKind
from compagnon.errors import Conflict, Invalid, NotFound
from tickets.desk.model import NewTicket, State
from tickets.links.model import LinkKind, number_of


@pytest.fixture
async def three(services: Any, cast: Any) -> list[int]:
    return await _three(services, cast)


async def _three(services: Any, cast: Any) -> list[int]:
    client = await services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Boulangerie Le Gall", actor=Actor.member(cast.ada.id)
    )
    titles = ("Rien ne s'imprime", "Imprimante muette", "Coupure de courant")
    desk = services.tickets.desk
    return [await desk.open(NewTicket(client_id=client.id, title=title), cast.alice) for title in titles]


def roles(links: Any) -> list[tuple[str, int]]:
    return [(link.role, link.other_id) for link in links]


async def test_a_link_is_seen_from_both_tickets_audited_and_told_to_both_pages(
    services: Any, cast: Any, three: list[int], db: Any
) -> None:
    links, (one, two, three_) = services.tickets.links, three
    await links.add(one, cast.alice, LinkKind.DUPLICATE_OF, two)
    await links.add(one, cast.alice, LinkKind.CAUSED_BY, three_)
    assert roles(await links.of(one)) == [("duplicate_of", two), ("caused_by", three_)]
    assert roles(await links.of(two)) == [("of_duplicate_of", one)]
    assert roles(await links.of(three_)) == [("of_caused_by", one)]
    assert (await services.tickets.desk.get(one)).state is State.NEW  # a duplicate closes nothing by itself
    async with db.connection() as conn:
        asked = "SELECT subject FROM audit_log WHERE action = 'ticket.linked' ORDER BY seq"
        subjects = [row[0] for row in await (await conn.execute(asked)).fetchall()]
        topics = {row[0] for row in await (await conn.execute("SELECT topic FROM events")).fetchall()}
        assert (await audit.verify(conn)).broken is None
    assert subjects == [f"ticket:{number}" for number in (one, two, one, three_)]
    assert {f"ticket:{number}" for number in three} <= topics


async def test_a_link_is_removed_from_either_side_once(services: Any, cast: Any, three: list[int]) -> None:
    links, (one, two, other) = services.tickets.links, three
    await links.add(one, cast.alice, LinkKind.RELATED, two)
    found = (await links.of(two))[0].id
    assert not await links.remove(other, cast.bruno, found)  # none of that ticket's
    ended = await asyncio.gather(*(links.remove(two, cast.bruno, found) for _ in range(3)))
    assert sorted(ended) == [False, False, True]
    assert await links.of(one) == []


async def test_the_same_request_twice_makes_one_link(services: Any, cast: Any, three: list[int], db: Any) -> None:
    links, (one, two, _) = services.tickets.links, three
    await asyncio.gather(*(links.add(one, cast.alice, LinkKind.RELATED, two) for _ in range(4)))
    assert roles(await links.of(one)) == [("related", two)]
    async with db.connection() as conn:
        asked = "SELECT count(*) FROM audit_log WHERE action = 'ticket.linked'"
        assert (await (await conn.execute(asked)).fetchone())[0] == 2


@pytest.mark.parametrize(("kind", "back"), [(LinkKind.CAUSED_BY, False), (LinkKind.RELATED, True)])
async def test_a_pair_is_linked_once_in_whatever_way(
    services: Any, cast: Any, three: list[int], kind: LinkKind, back: bool
) -> None:
    links, (one, two, _) = services.tickets.links, three
    await links.add(one, cast.alice, LinkKind.RELATED, two)
    with pytest.raises(Conflict):
        await links.add(*((two, cast.bruno, kind, one) if back else (one, cast.bruno, kind, two)))
    assert len(await links.of(one)) == 1


async def test_two_who_link_the_same_two_tickets_at_once_make_one_link(
    services: Any, cast: Any, three: list[int]
) -> None:
    links, (one, two, _) = services.tickets.links, three
    ended = await asyncio.gather(
        links.add(one, cast.alice, LinkKind.DUPLICATE_OF, two),
        links.add(two, cast.bruno, LinkKind.DUPLICATE_OF, one),
        return_exceptions=True,
    )
    assert sorted(type(each) for each in ended if each is not None) == [Conflict]
    assert len(await links.of(one)) == 1


async def test_itself_nothing_and_chains_of_duplicates_are_refused(services: Any, cast: Any, three: list[int]) -> None:
    links, (one, two, other) = services.tickets.links, three
    with pytest.raises(Invalid):
        await links.add(one, cast.alice, LinkKind.RELATED, one)
    with pytest.raises(Invalid):
        await links.add(one, cast.alice, LinkKind.RELATED, 2**62)
    with pytest.raises(NotFound):
        await links.add(2**62, cast.alice, LinkKind.RELATED, one)
    await links.add(two, cast.alice, LinkKind.DUPLICATE_OF, other)
    with pytest.raises(Invalid, match=str(other)):
        await links.add(one, cast.alice, LinkKind.DUPLICATE_OF, two)
    with pytest.raises(Invalid):
        await links.add(two, cast.alice, LinkKind.DUPLICATE_OF, one)


async def test_the_picker_offers_others_by_number_and_words(services: Any, cast: Any, three: list[int]) -> None:
    links, (one, two, other) = services.tickets.links, three

    async def offered(text: str) -> list[int]:
        return [each.id for each in await links.candidates(one, cast.alice, text)]

    assert await offered(f"#{two}") == [two]
    assert await offered("imprim") == [two]  # itself is not offered
    assert await offered("coup") == [other]
    assert await offered("") == await offered("%") == await offered("\x00") == []
    await links.add(one, cast.alice, LinkKind.RELATED, two)
    assert await offered("imprim") == []  # it is linked already


@pytest.mark.parametrize(
    ("typed", "number"),
    [("12", 12), ("#12", 12), (" # 12 ", 12), ("0", None), ("-1", None), ("1.5", None), ("٣", None), ("9" * 19, None)],
)
def test_a_number_is_read_as_it_is_written(typed: str, number: int | None) -> None:
    assert number_of(typed) == number


async def test_the_form_works_without_javascript(server: Any, cast: Any, client_for: Any) -> None:
    one, two, _ = await _three(server.services, cast)
    http = await client_for(cast.bruno)
    page = await http.post(f"/tickets/{one}/links", data={"kind": "duplicate_of", "other": "imprimante"})
    assert page.status_code == 422
    assert f'name="other_id" value="{two}"' in page.text
    assert f'name="other_id" value="{one}"' not in page.text
    done = await http.post(f"/tickets/{one}/links", data={"kind": "duplicate_of", "other": "x", "other_id": str(two)})
    assert (done.status_code, done.headers["location"]) == (303, f"/tickets/{one}#links")
    shown = (await http.get(f"/tickets/{two}")).text
    assert f'href="/tickets/{one}"' in shown
    assert f"duplicate_of={two}" in (await http.get(f"/tickets/{one}")).text
    assert f"Doublon du ticket {two}." in (await http.get(f"/tickets/{one}/close?duplicate_of={two}")).text
    twice = await http.post(f"/tickets/{two}/links", data={"kind": "related", "other": f"#{one}"})
    assert twice.status_code == 422
    assert f'value="#{one}"' in twice.text  # what was typed stays
    link = (await server.services.tickets.links.of(one))[0].id
    for _ in range(2):
        removed = await http.post(f"/tickets/{two}/links/{link}/remove")
        assert removed.status_code == 303
    assert await server.services.tickets.links.of(one) == []


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "enemy", "other": "1"},
        {"kind": "related", "other": ""},
        {"kind": "related", "other": "x" * 300},
        {"kind": "related", "other": "<script>alert(1)</script>"},
        {"kind": "related", "other": "zzzz", "other_id": "-1"},
        {"kind": "related", "other": "9223372036854775807"},
    ],
)
async def test_what_cannot_be_linked_is_refused_on_the_page(
    server: Any, cast: Any, client_for: Any, data: dict[str, str]
) -> None:
    one, *_ = await _three(server.services, cast)
    answer = await (await client_for(cast.alice)).post(f"/tickets/{one}/links", data=data)
    assert answer.status_code == 422
    assert "field-error" in answer.text
    assert "<script>alert" not in answer.text
    assert await server.services.tickets.links.of(one) == []


async def test_the_picker_answers_as_one_types(server: Any, cast: Any, client_for: Any) -> None:
    one, two, _ = await _three(server.services, cast)
    http = await client_for(cast.alice)
    answer = await http.get(f"/tickets/{one}/links/candidates", params={"other": "imprim"})
    assert f'value="{two}"' in answer.text
    assert "<html" not in answer.text
    assert (await http.get(f"/tickets/{one}/links/candidates", params={"other": "x" * 3_000})).status_code == 200

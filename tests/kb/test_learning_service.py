"""Learning on a real database: what is recorded once, what it teaches, what is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from compagnon.errors import NotFound
from kb.learning.model import Outcome
from kb.learning.service import Learning

KEY = "procedure:imp-002.fr"
DOCUMENT = ("procedure", "imp-002.fr")


class Rig:
    """The learning of the application, and which documents it had indexed anew."""

    def __init__(self, services: Any) -> None:
        self.db = services.kernel.db
        self.changed: list[str] = []
        self.learning = Learning(self.db, self._changed)

    async def _changed(self, conn: Any, kind: str, id: str) -> None:
        self.changed.append(f"{kind}:{id}")

    async def queries(self) -> tuple[str, ...]:
        return (await self.learning.queries([KEY, "procedure:other.fr"])).get(KEY, ())

    async def count(self, table: str) -> int:
        async with self.db.connection() as conn:
            row = await (await conn.execute(f"SELECT count(*) FROM {table}")).fetchone()
        return int(row[0])

    async def age(self, days: int) -> None:
        async with self.db.transaction() as conn:
            interval = {"days": days}
            await conn.execute(
                "UPDATE learned_questions SET asked_at = asked_at - make_interval(days => %(days)s),"
                " asked_on = asked_on - %(days)s::int",
                interval,
            )
            await conn.execute(
                "UPDATE learned_uses SET opened_at = opened_at - make_interval(days => %(days)s)", interval
            )


@pytest.fixture
def rig(services: Any) -> Rig:
    return Rig(services)


async def test_doubled_and_simultaneous_clicks_count_once(rig: Rig, cast: Any) -> None:
    await asyncio.gather(*(rig.learning.opened(cast.alice, "rien ne s'imprime", *DOCUMENT) for _ in range(8)))
    await rig.learning.opened(cast.alice, "Rien ne s’imprime !", *DOCUMENT)
    assert await rig.count("learned_questions") == 1
    assert await rig.count("learned_uses") == 1
    assert await rig.queries() == ()
    assert rig.changed == []


async def test_this_was_it_teaches_and_has_the_document_indexed_once(rig: Rig, cast: Any) -> None:
    assert await rig.learning.confirmed(cast.alice, "rien ne s'imprime", *DOCUMENT)
    assert not await rig.learning.confirmed(cast.alice, "rien ne s'imprime", *DOCUMENT)
    assert await rig.queries() == ("rien ne s'imprime",)
    assert rig.changed == [KEY]


async def test_several_members_teach(rig: Rig, cast: Any) -> None:
    for member in (cast.alice, cast.bruno):
        await rig.learning.opened(member, "toner", *DOCUMENT)
    assert await rig.queries() == ()
    await rig.learning.opened(cast.chloe, "Toner ?", *DOCUMENT)
    assert await rig.queries() == ("Toner ?",)
    assert rig.changed == [KEY]


async def test_feedback_on_the_document_is_about_the_question_that_led_there(rig: Rig, cast: Any) -> None:
    await rig.learning.feedback(cast.alice, *DOCUMENT, solved=True)  # nobody searched
    assert await rig.count("learned_uses") == 0
    await rig.learning.opened(cast.alice, "bourrage papier", *DOCUMENT)
    await rig.learning.feedback(cast.alice, *DOCUMENT, solved=True)
    assert await rig.queries() == ("bourrage papier",)
    await rig.learning.feedback(cast.alice, *DOCUMENT, solved=False)
    assert await rig.queries() == ()
    assert rig.changed == [KEY, KEY]


async def test_nothing_is_kept_of_what_holds_no_word(rig: Rig, cast: Any) -> None:
    for raw in ("", " ", "?!", "\x00\u202e", "jean@example.org", "02 99 00 11 22"):
        await rig.learning.asked(cast.alice, raw, 0)
        await rig.learning.opened(cast.alice, raw, *DOCUMENT)
        assert not await rig.learning.confirmed(cast.alice, raw, *DOCUMENT)
    assert await rig.count("learned_questions") == 0
    await rig.learning.opened(cast.alice, "toner", "procedure", "x" * 300)
    await rig.learning.asked(cast.alice, "é" * 100_000, 3)
    assert await rig.count("learned_uses") == 0


async def test_old_questions_are_deleted_and_what_they_taught_leaves_the_index(rig: Rig, cast: Any) -> None:
    await rig.learning.confirmed(cast.alice, "ancienne", *DOCUMENT)
    await rig.learning.asked(cast.alice, "introuvable", 0)
    await rig.age(366)
    rig.changed.clear()
    assert await rig.learning.forget() == 2
    assert rig.changed == [KEY]
    assert await rig.count("learned_questions") == await rig.count("learned_uses") == 0


async def test_a_cleared_history_is_gone_and_what_it_taught_has_no_name(rig: Rig, cast: Any) -> None:
    await rig.learning.confirmed(cast.alice, "rien ne s'imprime", *DOCUMENT)
    await rig.learning.asked(cast.alice, "autre chose", 4)
    await rig.learning.asked(cast.bruno, "celle de Bruno", 4)
    assert [one.text for one in await rig.learning.recent(cast.alice)] == ["autre chose", "rien ne s'imprime"]
    assert await rig.learning.clear(cast.alice, "Autre chose") == 1
    assert [one.text for one in await rig.learning.recent(cast.alice)] == ["rien ne s'imprime"]
    await rig.learning.clear(cast.alice)
    assert await rig.learning.recent(cast.alice) == []
    assert [one.text for one in await rig.learning.recent(cast.bruno)] == ["celle de Bruno"]
    assert await rig.queries() == ("rien ne s'imprime",)
    async with rig.db.connection() as conn:
        row = await (
            await conn.execute("SELECT count(*) FROM learned_questions WHERE member_id = %s", (cast.alice.id,))
        ).fetchone()
    assert row[0] == 0


async def test_misses_are_grouped_and_gone_once_found(rig: Rig, cast: Any) -> None:
    for member in (cast.alice, cast.bruno):
        await rig.learning.asked(member, "Scanner Épson", 0)
    await rig.learning.asked(cast.alice, "scanner epson", 0)
    await rig.learning.asked(cast.alice, "xylophone", 0)
    await rig.learning.asked(cast.alice, "imprimante", 3)
    await rig.learning.asked(cast.alice, "filtrée", None)
    first, second = await rig.learning.misses()
    assert (first.norm, first.times, first.members) == ("scanner epson", 3, 2)
    assert second.text == "xylophone"
    await rig.learning.asked(cast.chloe, "xylophone", 1)  # written meanwhile
    assert [miss.norm for miss in await rig.learning.misses()] == ["scanner epson"]
    await rig.learning.miss_done(cast.chloe, "scanner epson")
    assert await rig.learning.misses() == []
    await rig.learning.asked(cast.david, "scanner epson", 0)
    assert [miss.norm for miss in await rig.learning.misses()] == ["scanner epson"]
    with pytest.raises(NotFound):
        await rig.learning.miss_done(cast.chloe, "never asked")


class Ended:
    def __init__(self) -> None:
        self.reads = 0

    async def outcomes(self) -> Sequence[Outcome]:
        self.reads += 1
        return [
            Outcome(document=KEY, well=20, total=30),
            Outcome(document=KEY, environment="poste-debian-12", well=14, total=16),
            Outcome(document=KEY, environment="poste-windows-11", well=1, total=1),
        ]


async def test_runs_that_ended_well_lift_with_their_numbers(rig: Rig) -> None:
    source = Ended()
    rig.learning.outcomes(source)
    boost = (await rig.learning.boosts([KEY], environment="poste-debian-12"))[KEY]
    assert boost.reason.params == {"environment": "poste-debian-12", "well": "14", "total": "16"}
    elsewhere = (await rig.learning.boosts([KEY], environment="poste-windows-11"))[KEY]
    assert elsewhere.reason.params == {"well": "20", "total": "30"}
    assert 0 < elsewhere.weight < boost.weight
    assert await rig.learning.boosts(["procedure:other.fr"], environment=None) == {}
    assert source.reads == 1


async def test_without_the_outcomes_the_text_alone_ranks(rig: Rig) -> None:
    class Broken:
        async def outcomes(self) -> Sequence[Outcome]:
            raise RuntimeError("no runs today")

    rig.learning.outcomes(Broken())
    assert await rig.learning.boosts([KEY], environment=None) == {}

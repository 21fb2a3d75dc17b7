"""Synonyms with a real database: one proposes, another approves, no word is in two groups."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from compagnon.audit import store as audit_store
from compagnon.audit import verify
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from kb.search.expanding import MAX_GROUPS
from kb.search.model import SynonymGroup
from kb.synonyms import starter
from kb.synonyms.model import State, Wording

BLUE = Wording(locale="", words=("écran bleu", "BSOD", "blue screen"))
PROXY = Wording(locale="", words=("serveur mandataire", "proxy"))


@pytest.fixture
def synonyms(services: Any) -> Any:
    return services.kb.synonyms


async def in_force(synonyms: Any, cast: Any, wording: Wording) -> int:
    group_id = await synonyms.propose(cast.alice, wording, "Les deux se disent.")
    await synonyms.approve(cast.bruno, (await synonyms.history(group_id)).proposal.id)
    return int(group_id)


async def test_a_proposal_changes_nothing_until_another_member_approves_it(synonyms: Any, cast: Any) -> None:
    group_id = await synonyms.propose(cast.alice, BLUE, "On dit BSOD au téléphone.")
    proposal = (await synonyms.history(group_id)).proposal
    assert synonyms.groups() == ()
    assert await synonyms.waiting_for(cast.alice) == []
    assert [version.id for version in await synonyms.waiting_for(cast.bruno)] == [proposal.id]
    with pytest.raises(Forbidden):
        await synonyms.approve(cast.alice, proposal.id)
    assert synonyms.groups() == ()
    await synonyms.approve(cast.bruno, proposal.id)
    assert synonyms.groups() == (SynonymGroup(words=BLUE.words),)
    history = await synonyms.history(group_id)
    assert (history.current.number, history.current.decided_name, history.proposal) == (1, "Bruno Leroy", None)
    with pytest.raises(Conflict):
        await synonyms.approve(cast.chloe, proposal.id)


async def test_a_change_supersedes_and_the_end_withdraws(synonyms: Any, cast: Any) -> None:
    group_id = await in_force(synonyms, cast, BLUE)
    first = (await synonyms.history(group_id)).current
    wider = Wording(locale="", words=(*BLUE.words, "stop error"))
    await synonyms.propose_change(cast.bruno, group_id, wider, "Windows le dit ainsi.", seen=first.id)
    assert synonyms.groups() == (SynonymGroup(words=BLUE.words),)
    second = (await synonyms.history(group_id)).proposal
    await synonyms.approve(cast.alice, second.id)
    assert synonyms.groups() == (SynonymGroup(words=wider.words),)
    await synonyms.propose_change(cast.alice, group_id, wider, "Plus personne ne le dit.", seen=second.id, removes=True)
    await synonyms.approve(cast.chloe, (await synonyms.history(group_id)).proposal.id)
    assert synonyms.groups() == ()
    states = [(version.number, version.state) for version in (await synonyms.history(group_id)).versions]
    assert states == [(3, State.WITHDRAWN), (2, State.SUPERSEDED), (1, State.SUPERSEDED)]
    assert [version.group_id for version in await synonyms.withdrawn()] == [group_id]
    assert await in_force(synonyms, cast, BLUE) != group_id, "the words of an ended group are free again"


async def test_a_change_is_made_from_what_is_in_force_and_one_at_a_time(synonyms: Any, cast: Any) -> None:
    group_id = await in_force(synonyms, cast, BLUE)
    seen = (await synonyms.history(group_id)).current.id
    wider = Wording(locale="", words=(*BLUE.words, "stop error"))
    with pytest.raises(Invalid, match="Nothing is different"):
        await synonyms.propose_change(cast.bruno, group_id, BLUE, "Pour voir.", seen=seen)
    await synonyms.propose_change(cast.bruno, group_id, wider, "Windows le dit ainsi.", seen=seen)
    with pytest.raises(Conflict, match="Bruno Leroy has proposed"):
        await synonyms.propose_change(cast.chloe, group_id, wider, "Moi aussi.", seen=seen)
    await synonyms.approve(cast.alice, (await synonyms.history(group_id)).proposal.id)
    with pytest.raises(Conflict, match="changed meanwhile"):
        await synonyms.propose_change(cast.chloe, group_id, BLUE, "Retour en arrière.", seen=seen)


async def test_no_word_is_in_two_groups_whatever_its_ending(synonyms: Any, cast: Any) -> None:
    await in_force(synonyms, cast, PROXY)
    with pytest.raises(Conflict) as caught:
        await synonyms.propose(cast.bruno, Wording(locale="fr", words=("Serveurs mandataires", "relais")), "Aussi.")
    assert "reads like one of its words: serveur mandataire = proxy" in str(caught.value)
    await synonyms.propose(cast.bruno, Wording(locale="en", words=("serveur", "waiter")), "One word of a phrase.")


async def test_other_languages_may_share_a_word(synonyms: Any, cast: Any) -> None:
    await in_force(synonyms, cast, Wording(locale="fr", words=("pain", "baguette")))
    await in_force(synonyms, cast, Wording(locale="en", words=("pain", "ache")))
    assert synonyms.groups() == (
        SynonymGroup(locale="fr", words=("pain", "baguette")),
        SynonymGroup(locale="en", words=("pain", "ache")),
    )


MANY = """
WITH made AS (INSERT INTO synonym_groups SELECT FROM generate_series(1, %(count)s) RETURNING id)
INSERT INTO synonym_versions (group_id, locale, words, removes, reason, author_id, state, number, decided_at,
    decided_by)
SELECT id, '', ARRAY['un' || id, 'deux' || id], false, 'Beaucoup.', %(author)s, 'published', 1, now(), %(other)s
FROM made
"""


async def test_no_more_groups_are_proposed_than_the_search_reads(synonyms: Any, cast: Any, services: Any) -> None:
    async with services.kernel.db.transaction() as conn:
        await conn.execute(MANY, {"count": MAX_GROUPS - 2, "author": cast.alice.id, "other": cast.bruno.id})
    group_id = await in_force(synonyms, cast, BLUE)
    last = await synonyms.propose(cast.alice, PROXY, "Les deux se disent.")
    other = Wording(locale="fr", words=("massicot", "rogneuse"))
    for refused in (synonyms.check(other), synonyms.propose(cast.alice, other, "Les deux se disent.")):
        with pytest.raises(Conflict, match="2000 groups already"):
            await refused
    await synonyms.approve(cast.bruno, (await synonyms.history(last)).proposal.id)
    assert len(synonyms.groups()) == MAX_GROUPS
    assert SynonymGroup(words=PROXY.words) in synonyms.groups(), "the last one acts as well"
    wider = Wording(locale="", words=(*BLUE.words, "stop error"))
    seen = (await synonyms.history(group_id)).current.id
    await synonyms.propose_change(cast.bruno, group_id, wider, "Windows le dit ainsi.", seen=seen)
    await synonyms.approve(cast.alice, (await synonyms.history(group_id)).proposal.id)
    seen = (await synonyms.history(last)).current.id
    await synonyms.propose_change(cast.bruno, last, PROXY, "Plus personne.", seen=seen, removes=True)
    await synonyms.approve(cast.alice, (await synonyms.history(last)).proposal.id)
    await in_force(synonyms, cast, other)


async def test_two_groups_with_one_word_approved_at_once_become_one(synonyms: Any, cast: Any) -> None:
    groups = [
        await synonyms.propose(cast.alice, PROXY, "Les deux se disent."),
        await synonyms.propose(cast.bruno, Wording(locale="fr", words=("proxy", "relais")), "Les deux se disent."),
    ]
    proposals = [(await synonyms.history(group_id)).proposal.id for group_id in groups]
    outcomes = await asyncio.gather(*(synonyms.approve(cast.chloe, one) for one in proposals), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["Conflict", "Version"]
    assert len(synonyms.groups()) == 1


async def test_two_who_judge_at_once_judge_once(synonyms: Any, cast: Any) -> None:
    group_id = await synonyms.propose(cast.alice, PROXY, "Les deux se disent.")
    proposal = (await synonyms.history(group_id)).proposal.id
    outcomes = await asyncio.gather(
        synonyms.approve(cast.bruno, proposal),
        synonyms.refuse(cast.chloe, proposal, "Pas ici."),
        synonyms.take_back(cast.alice, proposal),
        return_exceptions=True,
    )
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1
    assert sum(isinstance(one, Conflict) for one in outcomes) == 2


async def test_a_request_sent_twice_proposes_once(synonyms: Any, cast: Any) -> None:
    key = str(uuid.uuid4())
    sent = (synonyms.propose(cast.alice, PROXY, "Les deux se disent.", request_key=key) for _ in range(4))
    assert len(set(await asyncio.gather(*sent))) == 1
    assert len(await synonyms.proposed()) == 1


async def test_refusing_says_why_and_taking_back_is_the_authors(synonyms: Any, cast: Any) -> None:
    group_id = await synonyms.propose(cast.alice, PROXY, "Les deux se disent.")
    proposal = (await synonyms.history(group_id)).proposal.id
    with pytest.raises(Forbidden):
        await synonyms.refuse(cast.alice, proposal, "Non.")
    with pytest.raises(Forbidden):
        await synonyms.take_back(cast.bruno, proposal)
    with pytest.raises(Invalid):
        await synonyms.refuse(cast.bruno, proposal, " ")
    await synonyms.refuse(cast.bruno, proposal, "Trop large.")
    (refused,) = (await synonyms.history(group_id)).versions
    assert (refused.state, refused.remark, refused.number) == (State.REFUSED, "Trop large.", None)
    for missing in (0, 2**63, 999_999):
        with pytest.raises(NotFound):
            await synonyms.history(missing)
        with pytest.raises(NotFound):
            await synonyms.approve(cast.bruno, missing)


async def test_the_list_is_searched_without_accents_and_by_language(synonyms: Any, cast: Any) -> None:
    await in_force(synonyms, cast, BLUE)
    await in_force(synonyms, cast, Wording(locale="en", words=("slow", "sluggish")))
    assert [version.words[0] for version in await synonyms.listed(text="ecran BL")] == ["écran bleu"]
    assert [version.words[0] for version in await synonyms.listed(locale="fr")] == ["écran bleu"]
    assert len(await synonyms.listed(locale="en")) == 2
    assert await synonyms.listed(text="100%_") == []


async def test_every_change_is_audited(synonyms: Any, cast: Any, services: Any) -> None:
    group_id = await in_force(synonyms, cast, BLUE)
    async with services.kernel.db.connection() as conn:
        records = await audit_store.recent(conn, subject=f"synonyms:{group_id}", actor=None, before=None, limit=9)
        assert (await verify(conn)).broken is None
    assert [(record.action, record.actor) for record in records] == [
        ("synonyms.published", f"member:{cast.bruno.id}"),
        ("synonyms.proposed", f"member:{cast.alice.id}"),
    ]


async def test_the_starter_groups_come_into_force_through_the_service(synonyms: Any, cast: Any) -> None:
    for wording in starter.wordings():
        await in_force(synonyms, cast, wording)
    assert len(synonyms.groups()) == len(starter.wordings())


async def test_other_processes_hear_of_a_change(server: Any, cast: Any, settings: Any) -> None:
    """A second set of services on the same database stands for another process."""
    from compagnon.app.wiring import build_services, running

    other = build_services(settings, settings.database_url)
    async with running(other):
        await in_force(server.services.kb.synonyms, cast, BLUE)
        async with asyncio.timeout(10):
            while other.kb.synonyms.groups() != (SynonymGroup(words=BLUE.words),):
                await asyncio.sleep(0.02)

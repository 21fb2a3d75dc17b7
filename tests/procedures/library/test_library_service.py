"""From a draft to the version in force, on a real database."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from compagnon import audit
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from procedures.library import review_store
from procedures.library.errors import EditConflict, NotReady
from procedures.library.model import Decision, Query, VersionState

PASSWORD = "correct horse battery"


async def publish(rooms, version, *, text=None):
    """Through the whole review, by Chloé and David."""
    await rooms.library.submit(version.id, rooms.alice, seen=version.digest)
    for reviewer in (rooms.chloe, rooms.david):
        await rooms.library.approve(version.id, reviewer, password=PASSWORD, seen=version.digest)
    return await rooms.library.publish(version.id, rooms.david, seen=version.digest)


def changed(text: str, word: str = "autrement") -> str:
    return text.replace("quand le fichier témoin manque", f"quand le fichier témoin manque {word}")


async def test_two_approvals_by_others_put_a_draft_in_force(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.alice)
    assert (draft.code, draft.locale, draft.state, draft.number) == ("tst-001", "fr", "draft", None)
    await rooms.library.submit(draft.id, rooms.alice, seen=draft.digest)
    await rooms.library.approve(draft.id, rooms.chloe, password=PASSWORD, seen=draft.digest)
    with pytest.raises(Conflict, match="Two approvals"):
        await rooms.library.publish(draft.id, rooms.chloe, seen=draft.digest)
    await rooms.library.approve(draft.id, rooms.david, password=PASSWORD, seen=draft.digest)
    published = await rooms.library.publish(draft.id, rooms.chloe, seen=draft.digest)
    assert (published.state, published.number) == (VersionState.PUBLISHED, 1)
    assert (await rooms.library.published("tst-001", "fr")).id == draft.id
    assert ("procedure", "tst-001.fr") in rooms.search.announced
    async with rooms.kernel.db.connection() as conn:
        assert (await audit.verify(conn)).broken is None


async def test_one_reviewer_approving_twice_counts_once(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.alice)
    await rooms.library.submit(draft.id, rooms.alice, seen=draft.digest)
    for _ in range(2):
        await rooms.library.approve(draft.id, rooms.chloe, password=PASSWORD, seen=draft.digest)
    with pytest.raises(Conflict, match="Two approvals"):
        await rooms.library.publish(draft.id, rooms.chloe, seen=draft.digest)


async def test_the_author_the_last_editor_and_members_do_not_approve(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.chloe)
    draft = await rooms.library.save(draft.id, changed(procedure_text), rooms.david, seen=draft.digest)
    await rooms.library.submit(draft.id, rooms.chloe, seen=draft.digest)
    for member in (rooms.chloe, rooms.david, rooms.alice):
        with pytest.raises(Forbidden):
            await rooms.library.approve(draft.id, member, password=PASSWORD, seen=draft.digest)


async def test_a_wrong_password_approves_nothing(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.alice)
    await rooms.library.submit(draft.id, rooms.alice, seen=draft.digest)
    with pytest.raises(Invalid, match="password"):
        await rooms.library.approve(draft.id, rooms.chloe, password="wrong", seen=draft.digest)
    _, verdict = await rooms.library.reviews(draft)
    assert verdict.approvals == ()


async def test_a_changed_text_needs_its_approvals_again(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.alice)
    await rooms.library.submit(draft.id, rooms.alice, seen=draft.digest)
    for reviewer in (rooms.chloe, rooms.david):
        await rooms.library.approve(draft.id, reviewer, password=PASSWORD, seen=draft.digest)
    newer = await rooms.library.save(draft.id, changed(procedure_text), rooms.alice, seen=draft.digest)
    assert newer.state == VersionState.IN_REVIEW
    _, verdict = await rooms.library.reviews(newer)
    assert verdict.missing == 2
    with pytest.raises(Conflict):
        await rooms.library.publish(draft.id, rooms.chloe, seen=newer.digest)
    with pytest.raises(Conflict):  # an approval of the text that was on the screen, not of the one behind it
        await rooms.library.approve(draft.id, rooms.chloe, password=PASSWORD, seen=draft.digest)


async def test_requested_changes_send_it_back_and_block(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.alice)
    await rooms.library.submit(draft.id, rooms.alice, seen=draft.digest)
    with pytest.raises(Invalid):
        await rooms.library.request_changes(draft.id, rooms.chloe, seen=draft.digest, comment="  ")
    await rooms.library.request_changes(draft.id, rooms.chloe, seen=draft.digest, comment="s2 est dangereux")
    back = await rooms.library.get(draft.id)
    assert back.state == VersionState.DRAFT
    await rooms.library.submit(draft.id, rooms.alice, seen=back.digest)
    for reviewer in (rooms.david,):
        await rooms.library.approve(draft.id, reviewer, password=PASSWORD, seen=back.digest)
    _, verdict = await rooms.library.reviews(back)
    assert verdict.objections == ("Chloe",)
    await rooms.library.approve(draft.id, rooms.chloe, password=PASSWORD, seen=back.digest)
    _, verdict = await rooms.library.reviews(back)
    assert verdict.settled


async def test_a_new_version_hides_nothing_before_it_is_published(rooms, procedure_text):
    first = await publish(rooms, await rooms.library.create(procedure_text, rooms.alice))
    draft = await rooms.library.create(first.text, rooms.alice)
    draft = await rooms.library.save(draft.id, changed(procedure_text), rooms.alice, seen=draft.digest)
    await rooms.library.submit(draft.id, rooms.alice, seen=draft.digest)
    assert (await rooms.library.published("tst-001", "fr")).id == first.id
    for reviewer in (rooms.chloe, rooms.david):
        await rooms.library.approve(draft.id, reviewer, password=PASSWORD, seen=draft.digest)
    second = await rooms.library.publish(draft.id, rooms.david, seen=draft.digest)
    assert second.number == 2
    assert (await rooms.library.version("tst-001", "fr", 1)).state == VersionState.SUPERSEDED
    assert [version.number for version in await rooms.library.history("tst-001", "fr")] == [2, 1]


async def test_a_draft_begun_before_the_last_publication_compares_first(rooms, procedure_text):
    await publish(rooms, await rooms.library.create(procedure_text, rooms.alice))
    late = await rooms.library.create(changed(procedure_text, "tard"), rooms.bruno)
    await publish(rooms, await rooms.library.create(changed(procedure_text, "tôt"), rooms.alice))
    with pytest.raises(Conflict, match="Version 2"):
        await rooms.library.submit(late.id, rooms.bruno, seen=late.digest)
    await rooms.library.rebase(late.id, rooms.bruno)
    await rooms.library.submit(late.id, rooms.bruno, seen=late.digest)


async def test_findings_warn_in_a_draft_and_stop_at_the_review(rooms, procedure_text):
    bad = procedure_text.replace("- stepresult: La personne voit son bureau.\n", "")
    draft = await rooms.library.create(bad, rooms.alice)
    with pytest.raises(NotReady) as refused:
        await rooms.library.submit(draft.id, rooms.alice, seen=draft.digest)
    assert any(finding.step == "s1" for finding in refused.value.findings)


async def test_a_text_that_cannot_be_read_is_kept_in_a_draft_but_begins_none(rooms, procedure_text):
    with pytest.raises(NotReady):
        await rooms.library.create("bonjour", rooms.alice)
    draft = await rooms.library.create(procedure_text, rooms.alice)
    broken = procedure_text.replace("risk: low", "risk: [")
    kept = await rooms.library.save(draft.id, broken, rooms.alice, seen=draft.digest)
    assert kept.text == broken
    assert kept.title == draft.title


async def test_of_two_who_save_the_second_is_told_and_loses_nothing(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.alice)
    await rooms.library.save(draft.id, changed(procedure_text, "un"), rooms.bruno, seen=draft.digest)
    with pytest.raises(EditConflict) as conflict:
        await rooms.library.save(draft.id, changed(procedure_text, "deux"), rooms.alice, seen=draft.digest)
    assert "deux" in conflict.value.typed
    assert "un" in conflict.value.current.text
    assert conflict.value.params == {"name": "Bruno"}


async def test_two_saves_at_once_keep_one(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.alice)
    saves = [
        rooms.library.save(draft.id, changed(procedure_text, str(number)), rooms.alice, seen=draft.digest)
        for number in range(5)
    ]
    results = await asyncio.gather(*saves, return_exceptions=True)
    assert sum(isinstance(result, EditConflict) for result in results) == 4


async def test_the_code_and_language_of_a_draft_stay(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.alice)
    with pytest.raises(Invalid):
        other = procedure_text.replace("tst-001", "tst-002")
        await rooms.library.save(draft.id, other, rooms.alice, seen=draft.digest)


async def test_the_database_refuses_to_change_or_delete_what_was_published(rooms, procedure_text):
    published = await publish(rooms, await rooms.library.create(procedure_text, rooms.alice))
    for statement in (
        "UPDATE procedure_versions SET text = 'x' WHERE id = %s",
        "UPDATE procedure_versions SET number = 7 WHERE id = %s",
        "DELETE FROM procedure_versions WHERE id = %s",
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            async with rooms.kernel.db.transaction() as conn:
                await conn.execute(statement, (published.id,))


async def test_a_withdrawn_version_is_no_longer_found(rooms, procedure_text):
    published = await publish(rooms, await rooms.library.create(procedure_text, rooms.alice))
    with pytest.raises(Forbidden):
        await rooms.library.withdraw(published.id, rooms.alice, reason="dangereux")
    with pytest.raises(Invalid):
        await rooms.library.withdraw(published.id, rooms.chloe, reason=" ")
    await rooms.library.withdraw(published.id, rooms.chloe, reason="dangereux")
    with pytest.raises(NotFound):
        await rooms.library.published("tst-001", "fr")
    assert (await rooms.library.latest("tst-001", "fr")).end_reason == "dangereux"
    assert await rooms.library.document("procedure", "tst-001.fr") is None


async def test_a_deviation_becomes_a_proposed_change(rooms, procedure_text):
    await publish(rooms, await rooms.library.create(procedure_text, rooms.alice))
    evidence = {"ticket": rooms.ticket, "run": 3, "steps": ["s2"]}
    version_id = await rooms.library.propose_change(
        procedure_code="tst-001",
        locale="fr",
        member=rooms.bruno,
        reason="s2 échoue si le disque est plein",
        evidence=evidence,
    )
    draft = await rooms.library.get(version_id)
    assert (draft.state, draft.based_on_number, draft.evidence) == (VersionState.DRAFT, 1, evidence)
    assert draft.text == procedure_text


async def test_a_missing_procedure_can_be_proposed_too(rooms):
    version_id = await rooms.library.propose_change(
        procedure_code=None,
        locale="fr",
        member=rooms.bruno,
        reason="Scanner qui ne répond plus",
        evidence={"ticket": 1},
    )
    draft = await rooms.library.get(version_id)
    assert draft.title == "Scanner qui ne répond plus"


async def test_importing_again_makes_a_version_only_when_the_text_changed(rooms, procedure_text):
    first = await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    again = await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    assert (first.number, again.id) == (1, first.id)
    second = await rooms.library.import_text(changed(procedure_text), rooms.ada, publish=True)
    assert (second.number, second.state) == (2, VersionState.PUBLISHED)
    draft = await rooms.library.import_text(changed(procedure_text, "encore"), rooms.alice)
    assert (await rooms.library.import_text(changed(procedure_text, "encore"), rooms.alice)).id == draft.id
    assert draft.state == VersionState.DRAFT


async def test_the_list_has_one_line_per_code_in_the_readers_language(rooms, procedure_text):
    await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    listing = await rooms.library.list(Query(locale="en"))
    assert [(row.code, row.languages) for row in listing.rows] == [("poste-test", ["fr"]), ("tst-001", ["fr"])]
    assert {facet.value: facet.count for facet in listing.facets["skill"]} == {"impression": 1}
    assert (await rooms.library.list(Query(locale="fr", kind="install"))).total == 0
    assert (await rooms.library.list(Query(locale="fr", environment="poste-test"))).total == 1
    assert (await rooms.library.list(Query(locale="fr", state="open"))).total == 0


async def test_open_versions_are_found_by_title_without_accents(rooms, procedure_text):
    await rooms.library.create(procedure_text, rooms.alice)
    assert (await rooms.library.list(Query(locale="fr", state="open", text="retablir"))).total == 1
    assert (await rooms.library.list(Query(locale="fr", state="open", text="100%"))).total == 0


async def test_reviewers_see_what_waits_for_them_until_they_said_their_word(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.chloe)
    await rooms.library.submit(draft.id, rooms.chloe, seen=draft.digest)
    assert [version.id for version in await rooms.library.waiting_for(rooms.david)] == [draft.id]
    assert await rooms.library.waiting_for(rooms.chloe) == []
    assert await rooms.library.waiting_for(rooms.alice) == ()
    await rooms.library.approve(draft.id, rooms.david, password=PASSWORD, seen=draft.digest)
    assert await rooms.library.waiting_for(rooms.david) == []


async def test_comments_stand_at_a_step_until_they_are_resolved(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.alice)
    comment_id = await rooms.library.comment(draft.id, rooms.chloe, "Et si le disque est plein ?", step_id="s2")
    await rooms.library.resolve(draft.id, comment_id, rooms.alice)
    (comment,) = await rooms.library.comments(draft.id)
    assert (comment.step_id, comment.resolved_by) == ("s2", rooms.alice.id)


async def test_a_published_procedure_is_a_search_document(rooms, procedure_text):
    await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    document = await rooms.library.document("procedure", "tst-001.fr")
    assert document.title == "Rétablir le fichier témoin"
    assert document.url == "/procedures/tst-001?lang=fr"
    assert "tst-001" in document.identifiers
    assert [found.id async for found in rooms.library.documents("procedure")] == ["tst-001.fr"]
    assert [found.id async for found in rooms.library.documents("environment")] == ["poste-test.fr"]
    assert (document.state, document.reviewed) == ("published", ""), "nobody has reviewed what was imported"


async def test_the_index_knows_when_a_procedure_was_last_approved(rooms, procedure_text):
    await publish(rooms, await rooms.library.create(procedure_text, rooms.alice))
    document = await rooms.library.document("procedure", "tst-001.fr")
    async with rooms.kernel.db.connection() as conn:
        row = await (await conn.execute("SELECT (now() AT TIME ZONE 'Europe/Paris')::date::text")).fetchone()
    assert document.reviewed == row[0]
    assert [found.reviewed async for found in rooms.library.documents("procedure")] == [row[0]]


async def test_the_index_reads_every_published_text_and_holds_no_connection_meanwhile(
    rooms, procedure_text, monkeypatch
):
    monkeypatch.setattr("procedures.library.shelf.BATCH", 2)
    for number in range(1, 6):
        text = procedure_text.replace("tst-001", f"tst-{number:03}")
        await rooms.library.import_text(text, rooms.ada, publish=True)
    seen = []
    async for document in rooms.library.documents("procedure"):
        async with rooms.kernel.db.connection() as conn:
            await conn.execute("SELECT 1")
        seen.append(document.id)
    assert len(seen) == len(set(seen)) == 5


async def test_many_read_at_once_without_waiting_for_a_second_connection(rooms, procedure_text):
    async with asyncio.timeout(9):  # the pool gives up after 10 s
        readings = await asyncio.gather(*(rooms.library.read(procedure_text) for _ in range(40)))
    assert all(not reading.blocking for reading in readings)


async def test_whoever_ever_changed_a_text_does_not_judge_it(rooms, procedure_text):
    draft = await rooms.library.create(procedure_text, rooms.alice)
    draft = await rooms.library.save(draft.id, changed(procedure_text), rooms.chloe, seen=draft.digest)
    draft = await rooms.library.save(draft.id, changed(procedure_text, "encore"), rooms.alice, seen=draft.digest)
    assert set(draft.editor_ids) == {rooms.alice.id, rooms.chloe.id}
    await rooms.library.submit(draft.id, rooms.alice, seen=draft.digest)
    assert await rooms.library.waiting_for(rooms.chloe) == []
    assert [one.id for one in await rooms.library.waiting_for(rooms.david)] == [draft.id]
    with pytest.raises(Forbidden, match="changed"):
        await rooms.library.approve(draft.id, rooms.chloe, password=PASSWORD, seen=draft.digest)
    await rooms.library.approve(draft.id, rooms.david, password=PASSWORD, seen=draft.digest)
    async with rooms.kernel.db.transaction() as conn:  # even a decision that was kept does not count
        await review_store.review(conn, draft.id, draft.digest, rooms.chloe.id, Decision.APPROVE, "")
    _, judged = await rooms.library.reviews(await rooms.library.get(draft.id))
    assert judged.approvals == (rooms.david.name,)


async def test_only_an_administrator_publishes_without_a_review_and_it_is_on_record(rooms, procedure_text):
    for member in (rooms.alice, rooms.chloe):
        with pytest.raises(Forbidden, match="administrator"):
            await rooms.library.import_text(procedure_text, member, publish=True)
    version = await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    async with rooms.kernel.db.connection() as conn:
        query = "SELECT details->>'imported', details->>'version' FROM audit_log ORDER BY seq DESC LIMIT 1"
        assert await (await conn.execute(query)).fetchone() == ("true", str(version.id))

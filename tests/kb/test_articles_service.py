"""Articles on a real database: drafts, the review by one other member, imports, conflicts."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from wired_fixtures import Cast

from compagnon.app.wiring import Services
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from kb.articles.errors import EditConflict, NotReady
from kb.articles.model import (
    TEXT_LIMIT,
    Content,
    ImportedArticle,
    ImportOutcome,
    Lack,
    Query,
    Solution,
    Version,
    VersionState,
)
from kb.articles.service import Articles
from procedures.library.article_links import drafted

QUEUE = Content(
    title="La file d'impression reste bloquée",
    condition="L'icône de l'imprimante montre une erreur, rien ne sort.",
    solutions=(Solution(cause="Un document abîmé tient la file.", remedy="1. Videz la file.\n2. Relancez cups."),),
    error_codes=("0x000003e3",),
    skills=("impression",),
)


@pytest.fixture
def articles(services: Services) -> Articles:
    return services.kb.articles


async def in_force(articles: Articles, cast: Cast, content: Content = QUEUE, **more: Any) -> Version:
    draft = await articles.create(content, "fr", cast.alice, **more)
    await articles.submit(draft.article_id, cast.alice, seen=draft.digest)
    return await articles.publish(draft.article_id, cast.bruno, seen=draft.digest)


async def actions(services: Services, article_id: int) -> list[str]:
    query = "SELECT action FROM audit_log WHERE subject = %s ORDER BY seq"
    async with services.kernel.db.connection() as conn:
        return [row[0] for row in await (await conn.execute(query, (f"article:{article_id}",))).fetchall()]


class TestReview:
    async def test_one_other_member_publishes(self, services: Services, articles: Articles, cast: Cast) -> None:
        published = await in_force(articles, cast)
        assert (published.number, published.state, published.publisher_name) == (1, "published", "Bruno Leroy")
        assert published.content == QUEUE
        assert published.reviewed_at is not None
        assert await actions(services, published.article_id) == [
            "article.drafted",
            "article.submitted",
            "article.published",
        ]

    async def test_who_wrote_or_changed_it_does_not_review_it(self, articles: Articles, cast: Cast) -> None:
        draft = await articles.create(QUEUE, "fr", cast.alice)
        changed = replace(QUEUE, condition="Autre chose.")
        draft = await articles.save(draft.article_id, changed, cast.david, seen=draft.digest)
        await articles.submit(draft.article_id, cast.alice, seen=draft.digest)
        for member in (cast.alice, cast.david):
            with pytest.raises(Forbidden):
                await articles.publish(draft.article_id, member, seen=draft.digest)
            with pytest.raises(Forbidden):
                await articles.send_back(draft.article_id, member, seen=draft.digest, remark="Non.")
            assert draft.article_id not in [one.article_id for one in await articles.waiting_for(member)]
        assert [one.article_id for one in await articles.waiting_for(cast.bruno)] == [draft.article_id]

    async def test_a_draft_never_hides_what_is_in_force(self, articles: Articles, cast: Cast) -> None:
        published = await in_force(articles, cast)
        changed = replace(QUEUE, title="La file est bloquée")
        draft = await articles.save(published.article_id, changed, cast.bruno, seen=published.digest)
        assert (await articles.get(published.article_id)).title == QUEUE.title
        assert draft.state is VersionState.DRAFT
        await articles.submit(published.article_id, cast.bruno, seen=draft.digest)
        assert (await articles.get(published.article_id)).title == QUEUE.title
        await articles.publish(published.article_id, cast.alice, seen=draft.digest)
        assert [(one.number, one.state) for one in await articles.history(published.article_id)] == [
            (2, "published"),
            (1, "superseded"),
        ]

    async def test_asked_for_changes_it_is_a_draft_again(self, articles: Articles, cast: Cast) -> None:
        draft = await articles.create(QUEUE, "fr", cast.alice)
        await articles.submit(draft.article_id, cast.alice, seen=draft.digest)
        await articles.send_back(draft.article_id, cast.bruno, seen=draft.digest, remark="Quel code d'erreur ?")
        again = await articles.draft(draft.article_id)
        assert again is not None
        assert (again.state, again.remark) == (VersionState.DRAFT, "Quel code d'erreur ?")
        with pytest.raises(Conflict):
            await articles.publish(draft.article_id, cast.bruno, seen=draft.digest)

    @pytest.mark.parametrize(
        ("content", "lack"),
        [
            (replace(QUEUE, condition=""), Lack.CONDITION),
            (replace(QUEUE, solutions=(Solution(cause="Seulement une cause"),)), Lack.REMEDY),
            (replace(QUEUE, known_error=True), Lack.WORKAROUND),
        ],
    )
    async def test_what_is_missing_is_said(self, articles: Articles, cast: Cast, content: Content, lack: Lack) -> None:
        draft = await articles.create(content, "fr", cast.alice)
        with pytest.raises(NotReady) as refused:
            await articles.submit(draft.article_id, cast.alice, seen=draft.digest)
        assert refused.value.lacks == (lack,)

    async def test_a_second_press_of_a_button_changes_nothing(
        self, services: Services, articles: Articles, cast: Cast
    ) -> None:
        first = await articles.create(QUEUE, "fr", cast.alice, request_key="k1")
        second = await articles.create(QUEUE, "fr", cast.alice, request_key="k1")
        assert first.article_id == second.article_id
        await articles.submit(first.article_id, cast.alice, seen=first.digest)
        await articles.submit(first.article_id, cast.alice, seen=first.digest)
        await articles.publish(first.article_id, cast.bruno, seen=first.digest)
        await articles.publish(first.article_id, cast.bruno, seen=first.digest)
        assert len(await actions(services, first.article_id)) == 3

    async def test_withdrawn_it_is_read_but_no_longer_listed(self, articles: Articles, cast: Cast) -> None:
        published = await in_force(articles, cast)
        with pytest.raises(Forbidden):
            await articles.withdraw(published.article_id, cast.alice, seen=published.digest, reason="Faux.")
        await articles.withdraw(published.article_id, cast.chloe, seen=published.digest, reason="Faux.")
        assert (await articles.get(published.article_id)).end_reason == "Faux."
        assert (await articles.list(Query())).rows == []
        assert [one.article_id for one in (await articles.list(Query(state="withdrawn"))).rows] == [
            published.article_id
        ]
        assert await articles.document(str(published.article_id)) is None

    async def test_a_published_version_cannot_be_changed_even_by_sql(
        self, services: Services, articles: Articles, cast: Cast
    ) -> None:
        published = await in_force(articles, cast)
        for query in ("UPDATE article_versions SET condition = 'x'", "DELETE FROM article_versions"):
            with pytest.raises(psycopg.errors.CheckViolation):
                async with services.kernel.db.transaction() as conn:
                    await conn.execute(query)  # type: ignore[arg-type]
        assert (await articles.get(published.article_id)).content == QUEUE


class TestTwoAtOnce:
    async def test_the_second_gets_what_is_there_and_loses_nothing(self, articles: Articles, cast: Cast) -> None:
        published = await in_force(articles, cast)
        mine, theirs = replace(QUEUE, condition="Le mien."), replace(QUEUE, condition="Le leur.")
        await articles.save(published.article_id, theirs, cast.bruno, seen=published.digest)
        with pytest.raises(EditConflict) as refused:
            await articles.save(published.article_id, mine, cast.alice, seen=published.digest)
        assert refused.value.current.condition == "Le leur."
        assert refused.value.typed.condition == "Le mien."
        kept = await articles.save(published.article_id, mine, cast.alice, seen=refused.value.current.digest)
        assert kept.condition == "Le mien."

    async def test_of_ten_at_once_one_is_kept_and_nine_are_told(self, articles: Articles, cast: Cast) -> None:
        published = await in_force(articles, cast)
        texts = [replace(QUEUE, condition=f"Texte {number}.") for number in range(10)]
        saves = (articles.save(published.article_id, one, cast.alice, seen=published.digest) for one in texts)
        results = await asyncio.gather(*saves, return_exceptions=True)
        assert sum(isinstance(one, Version) for one in results) == 1
        assert sum(isinstance(one, EditConflict) for one in results) == 9

    async def test_two_who_publish_at_once_publish_once(self, articles: Articles, cast: Cast) -> None:
        draft = await articles.create(QUEUE, "fr", cast.alice)
        await articles.submit(draft.article_id, cast.alice, seen=draft.digest)
        reviewers = (cast.bruno, cast.chloe, cast.david)
        await asyncio.gather(*(articles.publish(draft.article_id, one, seen=draft.digest) for one in reviewers))
        assert [one.number for one in await articles.history(draft.article_id)] == [1]

    async def test_a_review_is_of_the_text_that_was_read(self, articles: Articles, cast: Cast) -> None:
        draft = await articles.create(QUEUE, "fr", cast.alice)
        await articles.submit(draft.article_id, cast.alice, seen=draft.digest)
        changed = replace(QUEUE, condition="Changé après la lecture.")
        await articles.save(draft.article_id, changed, cast.alice, seen=draft.digest)
        with pytest.raises(Conflict):
            await articles.publish(draft.article_id, cast.bruno, seen=draft.digest)


def runbook(digest: str = "d1", **changes: Any) -> ImportedArticle:
    content = Content(
        title="Node not ready",
        condition="A node is not ready.",
        solutions=(Solution(remedy="Restart it."),),
        licence="CC BY 4.0",
        source_name="Runbooks",
        source_url="https://example.org/node",
    )
    return ImportedArticle(
        source="runbooks", source_id="node.md", digest=digest, locale="en", content=replace(content, **changes)
    )


class TestImport:
    async def test_it_is_in_force_with_licence_and_source(
        self, services: Services, articles: Articles, cast: Cast
    ) -> None:
        done = await articles.put_imported(runbook(), actor=Actor.member(cast.ada.id))
        assert done.outcome is ImportOutcome.ADDED
        article = await articles.get(done.article_id)
        assert (article.state, article.number, article.licence) == ("published", 1, "CC BY 4.0")
        assert await actions(services, done.article_id) == ["article.imported"]
        assert await articles.imported("runbooks") == {"node.md": "d1"}

    async def test_again_unchanged_nothing_happens(self, services: Services, articles: Articles) -> None:
        done = await articles.put_imported(runbook(), actor=Actor.system())
        again = await articles.put_imported(runbook(), actor=Actor.system())
        assert (again.article_id, again.outcome) == (done.article_id, ImportOutcome.UNCHANGED)
        assert len(await actions(services, done.article_id)) == 1

    async def test_changed_it_is_the_next_version(self, articles: Articles) -> None:
        done = await articles.put_imported(runbook(), actor=Actor.system())
        again = await articles.put_imported(runbook("d2", condition="New."), actor=Actor.system())
        assert (again.article_id, again.outcome) == (done.article_id, ImportOutcome.UPDATED)
        assert [one.number for one in await articles.history(done.article_id)] == [2, 1]

    async def test_members_text_is_never_overwritten(self, articles: Articles, cast: Cast) -> None:
        done = await articles.put_imported(runbook(), actor=Actor.system())
        ours = await articles.get(done.article_id)
        draft = await articles.save(
            done.article_id, replace(ours.content, condition="Ours."), cast.alice, seen=ours.digest
        )
        held = runbook("d2", condition="Theirs.")
        await articles.submit(done.article_id, cast.alice, seen=draft.digest)
        await articles.publish(done.article_id, cast.bruno, seen=draft.digest)
        assert (await articles.put_imported(held, actor=Actor.system())).outcome is ImportOutcome.PROPOSED
        assert (await articles.get(done.article_id)).condition == "Ours."
        proposed = await articles.draft(done.article_id)
        assert proposed is not None
        assert (proposed.condition, proposed.state, proposed.author_name) == ("Theirs.", "in_review", "")

    async def test_a_members_open_draft_holds_it_until_the_next_import(self, articles: Articles, cast: Cast) -> None:
        done = await articles.put_imported(runbook(), actor=Actor.system())
        first = await articles.get(done.article_id)
        mine = replace(first.content, condition="Mine.")
        draft = await articles.save(done.article_id, mine, cast.alice, seen=first.digest)
        await articles.submit(done.article_id, cast.alice, seen=draft.digest)
        await articles.publish(done.article_id, cast.bruno, seen=draft.digest)
        await articles.save(done.article_id, replace(mine, condition="More."), cast.alice, seen=draft.digest)
        changed = runbook("d2", condition="Theirs.")
        assert (await articles.put_imported(changed, actor=Actor.system())).outcome is ImportOutcome.HELD
        assert list((await articles.get(done.article_id)).stale) == ["changed"]
        now = await articles.draft(done.article_id)
        assert now is not None
        assert now.condition == "More."
        await articles.discard(done.article_id, cast.alice, seen=now.digest)
        assert (await articles.put_imported(changed, actor=Actor.system())).outcome is ImportOutcome.PROPOSED

    async def test_gone_at_its_source_it_stays_marked_and_comes_back(self, articles: Articles) -> None:
        done = await articles.put_imported(runbook(), actor=Actor.system())
        assert await articles.mark_gone("runbooks", ["node.md", "unknown.md"], actor=Actor.system()) == 1
        assert await articles.mark_gone("runbooks", ["node.md"], actor=Actor.system()) == 0
        gone = await articles.get(done.article_id)
        assert gone.gone_since is not None
        assert list(gone.stale) == ["gone"]
        assert (await articles.put_imported(runbook(), actor=Actor.system())).outcome is ImportOutcome.UPDATED
        back = await articles.get(done.article_id)
        assert (back.gone_since, list(back.stale)) == (None, [])

    @pytest.mark.parametrize("outcome", [ImportOutcome.PROPOSED, ImportOutcome.HELD])
    async def test_what_is_back_changed_beside_members_text_is_not_gone(
        self, articles: Articles, cast: Cast, outcome: ImportOutcome
    ) -> None:
        done = await articles.put_imported(runbook(), actor=Actor.system())
        first = await articles.get(done.article_id)
        ours = replace(first.content, condition="Ours.")
        draft = await articles.save(done.article_id, ours, cast.alice, seen=first.digest)
        await articles.submit(done.article_id, cast.alice, seen=draft.digest)
        await articles.publish(done.article_id, cast.bruno, seen=draft.digest)
        if outcome is ImportOutcome.HELD:
            await articles.save(done.article_id, replace(ours, condition="More."), cast.alice, seen=draft.digest)
        await articles.mark_gone("runbooks", ["node.md"], actor=Actor.system())
        assert list((await articles.get(done.article_id)).stale) == ["gone"]
        back = await articles.put_imported(runbook("d2", condition="Theirs."), actor=Actor.system())
        assert back.outcome is outcome
        assert "gone" not in (await articles.get(done.article_id)).stale

    async def test_what_members_withdrew_does_not_come_back(self, articles: Articles, cast: Cast) -> None:
        done = await articles.put_imported(runbook(), actor=Actor.system())
        first = await articles.get(done.article_id)
        await articles.withdraw(done.article_id, cast.ada, seen=first.digest, reason="Dangereux.")
        await articles.put_imported(runbook("d2", condition="New."), actor=Actor.system())
        assert (await articles.get(done.article_id)).state == "withdrawn"

    @pytest.mark.parametrize("field", ["licence", "source_name"])
    async def test_without_licence_or_source_it_is_refused(self, articles: Articles, field: str) -> None:
        with pytest.raises(Invalid) as refused:
            await articles.put_imported(runbook(**{field: ""}), actor=Actor.system())
        assert refused.value.field == field

    async def test_two_imports_at_once_make_one_article(self, articles: Articles) -> None:
        done = await asyncio.gather(*(articles.put_imported(runbook(), actor=Actor.system()) for _ in range(4)))
        assert len({one.article_id for one in done}) == 1
        assert sorted(one.outcome for one in done) == ["added", "unchanged", "unchanged", "unchanged"]


class TestBadInput:
    @pytest.mark.parametrize(
        ("content", "field"),
        [
            (replace(QUEUE, title="  "), "title"),
            (replace(QUEUE, title="x" * 201), "title"),
            (replace(QUEUE, condition="x" * (TEXT_LIMIT + 1)), "condition"),
            (replace(QUEUE, condition="a\x00b"), "condition"),
            (replace(QUEUE, condition="\ud800"), "condition"),
            (replace(QUEUE, solutions=(Solution(remedy="y"),) * 21), "cause"),
            (replace(QUEUE, error_codes=tuple(map(str, range(51)))), "error_codes"),
            (replace(QUEUE, source_url="javascript:alert(1)"), "source_url"),
            (replace(QUEUE, review_every=0), "review_every"),
        ],
    )
    async def test_it_is_refused_at_its_field(
        self, articles: Articles, cast: Cast, content: Content, field: str
    ) -> None:
        with pytest.raises(Invalid) as refused:
            await articles.create(content, "fr", cast.alice)
        assert refused.value.field == field

    @pytest.mark.parametrize("article_id", [0, -1, 2**63, 12])
    async def test_what_is_not_there(self, articles: Articles, cast: Cast, article_id: int) -> None:
        with pytest.raises(NotFound):
            await articles.get(article_id)
        with pytest.raises(NotFound):
            await articles.save(article_id, QUEUE, cast.alice, seen="x")

    @pytest.mark.parametrize("id", ["", "0", "012", "-1", "x", "²", str(2**63), "9" * 5000])
    async def test_no_document_has_such_an_id(self, articles: Articles, cast: Cast, id: str) -> None:
        await in_force(articles, cast)
        assert await articles.document(id) is None

    @pytest.mark.parametrize(
        ("text", "found"), [("100%", True), ("a_b", True), ("c:\\", True), ("1_0", False), ("0% ", False)]
    )
    async def test_a_titles_signs_stand_for_themselves(
        self, articles: Articles, cast: Cast, text: str, found: bool
    ) -> None:
        await articles.create(replace(QUEUE, title="Disque à 100%, c:\\a_b"), "fr", cast.alice)
        assert (await articles.list(Query(state="open", text=text))).total == found


async def tell(articles: Articles, article_id: int, members: tuple[Member, ...], *, solved: bool) -> None:
    for member in members:
        await articles.tell(article_id, member, solved=solved)


async def age(services: Services, article_id: int, months: int) -> None:
    async with services.kernel.db.transaction() as conn:
        await conn.execute(
            "UPDATE articles SET reviewed_at = now() - make_interval(months => %s) WHERE id = %s", (months, article_id)
        )


class TestLookedAfter:
    async def test_a_review_that_is_due_is_said_and_a_look_ends_it(
        self, services: Services, articles: Articles, cast: Cast
    ) -> None:
        article = await in_force(articles, cast)
        await age(services, article.article_id, 11)
        assert await articles.look_after() == 0
        await age(services, article.article_id, 13)
        assert await articles.look_after() == 1
        assert await articles.look_after() == 0, "nothing has changed since"
        stale = await articles.get(article.article_id)
        assert list(stale.stale) == ["due"]
        assert [one.article_id for one in (await articles.list(Query(look_after=True))).rows] == [article.article_id]
        document = await articles.document(str(article.article_id))
        assert document is not None
        assert document.state == "stale"
        await articles.confirm(article.article_id, cast.david, seen=article.digest)
        assert list((await articles.get(article.article_id)).stale) == []

    async def test_an_environment_that_is_not_in_force(self, articles: Articles, cast: Cast) -> None:
        article = await in_force(articles, cast, replace(QUEUE, applies_to=("poste-inconnu",)))
        assert await articles.look_after() == 1
        assert list((await articles.get(article.article_id)).stale) == ["environment"]
        await tell(articles, article.article_id, (cast.alice,), solved=True)
        assert list((await articles.get(article.article_id)).stale) == ["environment"], "a word changes nothing of it"

    async def test_what_mostly_did_not_help(self, articles: Articles, cast: Cast) -> None:
        article = await in_force(articles, cast)
        await tell(articles, article.article_id, (cast.alice,), solved=True)
        await tell(articles, article.article_id, (cast.bruno,), solved=False)
        assert list((await articles.get(article.article_id)).stale) == [], "too few words to judge"
        await tell(articles, article.article_id, (cast.chloe,), solved=False)
        assert list((await articles.get(article.article_id)).stale) == ["unhelpful"]
        changed = replace(QUEUE, condition="Mieux dit.")
        draft = await articles.save(article.article_id, changed, cast.alice, seen=article.digest)
        await articles.submit(article.article_id, cast.alice, seen=draft.digest)
        await articles.publish(article.article_id, cast.bruno, seen=draft.digest)
        assert list((await articles.get(article.article_id)).stale) == [], "words about an older text do not count"

    async def test_followed_often_it_asks_for_a_procedure(self, articles: Articles, cast: Cast) -> None:
        article = await in_force(articles, cast)
        await tell(articles, article.article_id, (cast.alice, cast.bruno), solved=True)
        assert not (await articles.sheet(article.article_id, "fr")).wants_procedure
        await tell(articles, article.article_id, (cast.chloe,), solved=True)
        assert (await articles.sheet(article.article_id, "fr")).wants_procedure


class TestFeedback:
    async def test_one_word_each_which_may_change(self, services: Services, articles: Articles, cast: Cast) -> None:
        article = await in_force(articles, cast)
        await asyncio.gather(*(articles.tell(article.article_id, cast.alice, solved=True) for _ in range(5)))
        await articles.tell(article.article_id, cast.alice, solved=False, note="  Pas chez moi.  ")
        sheet = await articles.sheet(article.article_id, "fr")
        assert (sheet.solved, sheet.unsolved) == (0, 1)
        assert sheet.feedback[0].note == "Pas chez moi."
        assert (await actions(services, article.article_id))[3:] == ["article.solved", "article.not_solved"]

    async def test_what_is_not_in_force_has_none(self, articles: Articles, cast: Cast) -> None:
        draft = await articles.create(QUEUE, "fr", cast.alice)
        with pytest.raises(NotFound):
            await articles.tell(draft.article_id, cast.bruno, solved=True)

    async def test_it_teaches_the_search(self, services: Services, articles: Articles, cast: Cast) -> None:
        article = await in_force(articles, cast)
        learning, key = services.kb.learning, f"article:{article.article_id}"
        await learning.opened(cast.bruno, "file bloquée", "article", str(article.article_id))
        assert not await learning.queries([key])
        await articles.tell(article.article_id, cast.bruno, solved=True)
        assert (await learning.queries([key]))[key] == ("file bloquée",)


class TestLinks:
    async def test_what_an_article_names_knows_it(self, articles: Articles, cast: Cast) -> None:
        first = await in_force(articles, cast)
        naming = replace(QUEUE, title="Voir l'autre", condition=f"Voir /articles/{first.article_id} et /articles/999.")
        second = await in_force(articles, cast, naming)
        links = (await articles.sheet(first.article_id, "fr")).links
        assert [(link.kind, link.ref, link.label) for link in links] == [
            ("article", str(second.article_id), "Voir l'autre")
        ]
        silent = replace(naming, condition="Ne cite plus rien.")
        draft = await articles.save(second.article_id, silent, cast.alice, seen=second.digest)
        assert (await articles.sheet(first.article_id, "fr")).links, "a draft changes nothing yet"
        await articles.submit(second.article_id, cast.alice, seen=draft.digest)
        await articles.publish(second.article_id, cast.bruno, seen=draft.digest)
        assert not (await articles.sheet(first.article_id, "fr")).links

    async def test_what_is_withdrawn_no_longer_names(self, articles: Articles, cast: Cast) -> None:
        first = await in_force(articles, cast)
        second = await in_force(articles, cast, replace(QUEUE, condition=f"Voir /articles/{first.article_id}."))
        await articles.withdraw(second.article_id, cast.chloe, seen=second.digest, reason="Faux.")
        assert not (await articles.sheet(first.article_id, "fr")).links

    async def test_a_translation_knows_its_original_and_the_others(self, articles: Articles, cast: Cast) -> None:
        first = await in_force(articles, cast)
        english = await articles.create(
            replace(QUEUE, title="The queue is stuck"), "en", cast.alice, translates_id=first.article_id
        )
        await articles.submit(english.article_id, cast.alice, seen=english.digest)
        await articles.publish(english.article_id, cast.bruno, seen=english.digest)
        for here, there in ((first, english), (english, first)):
            known = await articles.translations(here.article_id)
            assert [one.article_id for one in known] == [there.article_id]
        with pytest.raises(NotFound):
            await articles.create(QUEUE, "en", cast.alice, translates_id=99)

    async def test_a_procedure_made_from_an_article_is_tied_to_it(
        self, services: Services, articles: Articles, cast: Cast
    ) -> None:
        article = await in_force(articles, cast)
        library = services.procedures.library
        text = drafted(article, "fr")
        draft = await library.create(text, cast.alice, article_id=article.article_id)
        assert draft.evidence == {"article": article.article_id}
        links = (await articles.sheet(article.article_id, "fr")).links
        assert [(link.kind, link.ref, link.url) for link in links] == [
            ("procedure", draft.code, f"/reviews/{draft.id}")
        ]
        with pytest.raises(NotFound):
            await library.create(text.replace(draft.code, "xyz-001"), cast.alice, article_id=999)
        assert not await library.drafts_of("xyz-001")

    async def test_writing_and_naming_at_once_wait_for_nobody_for_ever(self, articles: Articles, cast: Cast) -> None:
        """Editors lock the article, whoever names it only keeps it from going."""
        article = await in_force(articles, cast)
        naming = replace(QUEUE, condition=f"Voir /articles/{article.article_id}.")

        async def edit(number: int) -> None:
            present = await articles.present(article.article_id)
            changed = replace(QUEUE, condition=f"Texte {number}.")
            with contextlib.suppress(Conflict):
                await articles.save(article.article_id, changed, cast.alice, seen=present.digest)

        async with asyncio.timeout(60):
            await asyncio.gather(
                *(edit(number) for number in range(6)),
                *(in_force(articles, cast, replace(naming, title=f"N° {number}")) for number in range(3)),
                *(articles.tell(article.article_id, one, solved=True) for one in (cast.alice, cast.bruno)),
            )

"""Imports on a real database: once, again, changed, removed, restored, refused, cut off."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from imports_parts import ALCHEMY, MALLARD, NOTE, folder, notes, zipped
from wired_fixtures import Cast

from compagnon.app.wiring import Services
from compagnon.errors import Conflict, Forbidden, Invalid
from kb.articles.model import Content, Query, Solution
from kb.imports.model import Order, Run, RunState, SkipReason

CO_OP = "La coopérative"


async def take(services: Services, cast: Cast, where: Path, name: str = "Notes", **more: str) -> Run:
    order = Order(name=name, licence=more.pop("licence", CO_OP), **more)
    return await services.kb.imports.from_folder(where, order, cast.ada)


async def titles(services: Services) -> dict[str, int]:
    """The articles in force, with the number of their version."""
    listing = await services.kb.articles.list(Query())
    return {row.title: row.number or 0 for row in listing.rows}


async def test_documents_are_in_force_with_their_licence_and_source(
    services: Services, cast: Cast, tmp_path: Path
) -> None:
    run = await take(services, cast, folder(tmp_path / "in", {"badge.md": ALCHEMY}), "Réponses", licence="")
    assert (run.state, run.added, run.total, run.done) == (RunState.DONE, 1, 1, 1)
    (row,) = (await services.kb.articles.list(Query())).rows
    assert (row.title, row.licence) == ("L’imprimante Windows refuse le badge", "CC BY 4.0")
    assert row.source_name == "Réponses — Microsoft — 2020-09-15"
    assert row.source_url == "https://docs.microsoft.com/alchemyinsights/badge"
    assert (row.error_codes, row.os, row.locale) == (("0x8004de40",), ("windows",), "fr")
    ((source, last),) = await services.kb.imports.sources()
    assert (source.articles, source.licence, source.format) == (1, "CC BY 4.0", "alchemy")
    assert last == run


async def test_the_same_again_makes_no_double_and_no_version(services: Services, cast: Cast, tmp_path: Path) -> None:
    where = folder(tmp_path / "in", notes(25))
    await take(services, cast, where)
    before = await titles(services)
    run = await take(services, cast, where)
    assert (run.added, run.changed, run.unchanged, run.removed) == (0, 0, 25, 0)
    assert await titles(services) == before
    assert len(before) == 25
    assert set(before.values()) == {1}


async def test_one_changed_file_makes_one_version(services: Services, cast: Cast, tmp_path: Path) -> None:
    where = folder(tmp_path / "in", notes(5))
    await take(services, cast, where)
    (where / "n003.md").write_text("# Panne 3\n\n## Solution\n\nAutrement.\n")
    run = await take(services, cast, where)
    assert (run.added, run.changed, run.unchanged) == (0, 1, 4)
    assert {title for title, number in (await titles(services)).items() if number == 2} == {"Panne 3"}


async def told(services: Services) -> int:
    async with services.kernel.db.connection() as conn:
        row = await (await conn.execute("SELECT count(*) FROM search_outbox")).fetchone()
    return int(row[0]) if row else 0


async def test_a_corrected_language_is_taken_over(services: Services, cast: Cast, tmp_path: Path) -> None:
    where = folder(tmp_path / "in", notes(2))
    await take(services, cast, where, locale="fr")
    before = await told(services)
    run = await take(services, cast, where, locale="en")
    assert (run.added, run.changed, run.unchanged) == (0, 2, 0)
    rows = (await services.kb.articles.list(Query())).rows
    assert [(row.locale, row.number) for row in rows] == [("en", 1), ("en", 1)]
    documents = [await services.kb.articles.document(str(row.article_id)) for row in rows]
    assert {document.locale for document in documents if document} == {"en"}
    assert await told(services) == before + 2, "the index hears of it"
    again = await take(services, cast, where)
    assert (again.changed, again.unchanged) == (0, 2), "the source remembers its language"


async def test_what_is_removed_is_marked_and_what_is_back_is_not(
    services: Services, cast: Cast, tmp_path: Path
) -> None:
    where = folder(tmp_path / "in", notes(4))
    await take(services, cast, where)
    shutil.move(where / "n002.md", tmp_path / "n002.md")
    run = await take(services, cast, where)
    assert (run.removed, run.unchanged) == (1, 3)
    ((source, _),) = await services.kb.imports.sources()
    assert (source.articles, source.gone) == (4, 1)
    (removed,) = await services.kb.imports.removed(source.id)
    assert (removed.title, removed.path) == ("Panne 2", "n002.md")
    assert (await services.kb.articles.get(removed.article_id)).gone_since is not None
    again = await take(services, cast, where)
    assert again.removed == 0, "said once"
    shutil.move(tmp_path / "n002.md", where / "n002.md")
    await take(services, cast, where)
    assert await services.kb.imports.removed(source.id) == []
    assert (await services.kb.articles.get(removed.article_id)).gone_since is None
    assert set((await titles(services)).values()) == {1}


async def test_a_file_that_cannot_be_read_this_time_is_not_gone(services: Services, cast: Cast, tmp_path: Path) -> None:
    where = folder(tmp_path / "in", notes(2))
    await take(services, cast, where)
    (where / "n001.md").write_bytes(b"\xff\xfe\x00")
    run = await take(services, cast, where)
    assert (run.removed, run.skipped) == (0, 1)
    (skipped,) = await services.kb.imports.skipped(run.id)
    assert (skipped.path, skipped.reason) == ("n001.md", SkipReason.ENCODING)


async def test_a_text_that_members_changed_is_not_written_over(services: Services, cast: Cast, tmp_path: Path) -> None:
    articles = services.kb.articles
    where = folder(tmp_path / "in", notes(1))
    await take(services, cast, where)
    (row,) = (await articles.list(Query())).rows
    ours = Content(
        title=row.title, condition="Vu.", solutions=(Solution(remedy="À notre façon."),), licence=row.licence,
        source_name=row.source_name,
    )  # fmt: skip
    draft = await articles.save(row.article_id, ours, cast.alice, seen=row.digest)
    await articles.submit(row.article_id, cast.alice, seen=draft.digest)
    await articles.publish(row.article_id, cast.bruno, seen=draft.digest)
    (where / "n000.md").write_text("# Panne 0\n\n## Solution\n\nAutrement.\n")
    run = await take(services, cast, where)
    assert (run.changed, run.proposed) == (0, 1)
    assert (await articles.get(row.article_id)).solutions[0].remedy == "À notre façon."


async def test_one_document_that_is_refused_costs_the_others_nothing(
    services: Services, cast: Cast, tmp_path: Path
) -> None:
    where = folder(tmp_path / "in", {**notes(3), "de.md": "---\nlang: de\n---\n# Fehler\n\n## Solution\n\nx\n"})
    run = await take(services, cast, where)
    assert (run.added, run.done, run.skipped) == (3, 4, 1)
    (skipped,) = await services.kb.imports.skipped(run.id)
    assert (skipped.path, skipped.reason) == ("de.md", SkipReason.REFUSED)
    assert skipped.detail


async def test_links_between_documents_lead_to_their_articles(services: Services, cast: Cast, tmp_path: Path) -> None:
    other = MALLARD.replace("scan-silent", "scan-power").replace("Le scanneur ne répond pas", "Le courant manque")
    lost = MALLARD.replace("scan-silent", "scan-lost").replace("scan-power", "nowhere").replace("répond", "lit")
    texts = {"scan-silent.page": MALLARD, "scan-power.page": other, "scan-lost.page": lost}
    await take(services, cast, folder(tmp_path / "in", texts), "Aide", licence="")
    ((source, _),) = await services.kb.imports.sources()
    silent = await services.kb.articles.get(await services.kb.imports.article_of(source.id, "scan-silent.page"))
    power = f"[Le courant manque](/articles/sources/{source.id}/document?path=scan-power.page)"
    assert power in silent.solutions[0].remedy
    alone = await services.kb.articles.get(await services.kb.imports.article_of(source.id, "scan-lost.page"))
    assert "article:" not in alone.solutions[0].remedy


@pytest.mark.parametrize(
    ("texts", "order", "message"),
    [
        ({}, {}, "nothing to import"),
        ({"a.txt": "x"}, {}, "nothing to import"),
        ({"README.md": "# x\n\ny\n"}, {}, "None of the 1 documents"),
        ({"a.md": NOTE}, {"licence": ""}, "under which licence"),
        ({"a.md": NOTE}, {"format": "word"}, "no format word"),
        ({"a.md": NOTE}, {"format": "mallard"}, "None of the 1 documents"),
        ({"a.md": NOTE}, {"locale": "de"}, "fr or en"),
        ({"a.md": NOTE}, {"name": " "}, "name of 120"),
        ({"a.md": NOTE}, {"name": "x" * 121}, "name of 120"),
        ({"a.md": NOTE}, {"licence": "x" * 201}, "too long"),
    ],
)
async def test_an_import_of_nothing_is_refused_and_leaves_no_trace(
    services: Services, cast: Cast, tmp_path: Path, texts: dict[str, str], order: dict[str, str], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        await take(services, cast, folder(tmp_path / "in", texts), **order)
    assert await services.kb.imports.sources() == []


async def test_only_administrators_import(services: Services, cast: Cast, tmp_path: Path) -> None:
    imports, order = services.kb.imports, Order(name="Notes", licence=CO_OP)
    for member in (cast.alice, cast.chloe):
        with pytest.raises(Forbidden):
            await imports.from_folder(folder(tmp_path / "in", notes(1)), order, member)
        with pytest.raises(Forbidden):
            await imports.upload(zipped(notes(1)), order, member)
        with pytest.raises(Forbidden):
            await imports.withdraw(1, member)


async def test_two_imports_of_one_source_at_once_are_refused(services: Services, cast: Cast, tmp_path: Path) -> None:
    imports, where = services.kb.imports, folder(tmp_path / "in", notes(2))
    await take(services, cast, where)
    ((source, _),) = await imports.sources()
    async with imports._work.alone(source.id):
        with pytest.raises(Conflict, match="being imported"):
            await take(services, cast, where)
        with pytest.raises(Conflict, match="being imported"):
            await imports.upload(zipped(notes(2)), Order(name="Notes"), cast.ada)
        await take(services, cast, where, "Autres")
    order = Order(name="Notes")
    await imports.upload(zipped(notes(2)), order, cast.ada)
    with pytest.raises(Conflict, match="being imported"):
        await imports.upload(zipped(notes(2)), order, cast.ada)
    assert [run.state for run in await imports.runs(source.id)] == [RunState.QUEUED, RunState.DONE]


async def test_a_queued_import_that_was_lost_holds_up_no_other(services: Services, cast: Cast) -> None:
    imports, order = services.kb.imports, Order(name="Notes", licence=CO_OP)
    lost = await imports.upload(zipped(notes(1)), order, cast.ada)
    async with services.kernel.db.connection() as conn:
        await conn.execute("UPDATE import_runs SET touched_at = now() - interval '11 minutes'")
    await imports.upload(zipped(notes(1)), order, cast.ada)
    assert (await imports.run(lost.id)).state is RunState.INTERRUPTED
    await imports.perform(lost.id)
    assert await titles(services) == {}, "what was given up is not done later"


async def test_a_queued_import_is_done_once(services: Services, cast: Cast) -> None:
    imports = services.kb.imports
    run = await imports.upload(zipped(notes(3)), Order(name="Notes", licence=CO_OP, label="notes.zip"), cast.ada)
    await imports.perform(run.id)
    await imports.perform(run.id)
    done = await imports.run(run.id)
    assert (done.state, done.added, done.label) == (RunState.DONE, 3, "notes.zip")
    async with services.kernel.db.connection() as conn:
        assert await (await conn.execute("SELECT count(*) FROM import_uploads")).fetchone() == (0,)


async def test_a_job_that_was_killed_in_the_middle_goes_on(services: Services, cast: Cast) -> None:
    imports = services.kb.imports
    run = await imports.upload(zipped(notes(30)), Order(name="Notes", licence=CO_OP), cast.ada)
    batch, left = imports._work._batch, iter([1, 1])

    async def dying(*given: object) -> object:
        if next(left, None) is None:
            raise RuntimeError("killed")
        return await batch(*given)  # type: ignore[arg-type]

    imports._work._batch = dying  # type: ignore[method-assign, assignment]
    with pytest.raises(RuntimeError):
        await imports.perform(run.id)
    assert (await imports.run(run.id)).done == 20
    imports._work._batch = batch  # type: ignore[method-assign]
    await imports.perform(run.id)
    done = await imports.run(run.id)
    assert (done.state, done.added, done.unchanged, done.done) == (RunState.DONE, 10, 20, 30)
    assert len(await titles(services)) == 30


async def test_all_articles_of_a_source_are_withdrawn(services: Services, cast: Cast, tmp_path: Path) -> None:
    imports, where = services.kb.imports, folder(tmp_path / "in", notes(3))
    await take(services, cast, where)
    ((source, _),) = await imports.sources()
    run = await imports.withdraw(source.id, cast.ada)
    await imports.perform(run.id)
    done = await imports.run(run.id)
    assert (done.state, done.removed) == (RunState.DONE, 3)
    assert await titles(services) == {}
    assert ((await imports.source(source.id)).articles, (await imports.source(source.id)).withdrawn) == (0, 3)
    again = await take(services, cast, where)
    assert (again.added, again.unchanged) == (0, 3), "what was withdrawn stays so"


async def test_imports_are_on_record(services: Services, cast: Cast, tmp_path: Path) -> None:
    await take(services, cast, folder(tmp_path / "in", notes(2)))
    async with services.kernel.db.connection() as conn:
        rows = await (
            await conn.execute("SELECT action FROM audit_log WHERE action LIKE '%import%' ORDER BY seq")
        ).fetchall()
    assert [row[0] for row in rows] == ["import.started", "article.imported", "article.imported", "import.finished"]

"""Speed of the library search over 50,000 documents.

    python bench/search.py [--folder FOLDER] [--documents 50000] [--changes-only]

Cuts the documents of the labelled set ``anchors`` into sections and asks its questions. Prints how long indexing takes
and how large the index is; the time of a search inside the engine, cold (a fresh engine's first sight of each word) and
warm; the same for tantivy behind the same protocol, for tantivy's bare ranking, and for Whoosh's own scorer, over the
same documents in the same run; how long a change takes to be found, in the engine and from the commit in PostgreSQL
through the outbox and its worker. ``bench/relevance.py`` says how well it finds.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from labelled import folder_of, load, sections
from whoosh.query import Or, Term
from whoosh.scoring import BM25F

from compagnon.app.database import database_address, prepare
from compagnon.db import Database
from compagnon.settings import Settings
from kb.search.engine import SearchEngine
from kb.search.model import Document, Filters
from kb.search.postings import K1, B
from kb.search.question import ask
from kb.search.service import Search
from kb.search.whoosh_engine import WhooshEngine
from kb.search.whoosh_format import FIELD_WEIGHTS
from kb.search.whoosh_index import LibraryIndex

DOCUMENTS = 50_000
WARM, COLD, VISIBLE, RATIO = 10.0, 50.0, 200.0, 5.0  # to reach: milliseconds, and times tantivy's
OWN_SCORER = 60  # questions given to Whoosh's own scorer
CHANGES = 20
WORDS = [f"zyx{chr(97 + number // 26)}{chr(97 + number % 26)}wvut" for number in range(100)]
"""What is committed, one after the other, as a merge comes only after several."""
SETTLED = 5.0  # seconds in which a process has read what it keeps in memory


def build(engine: SearchEngine, documents: Sequence[Document]) -> float:
    started = time.perf_counter()
    engine.begin()
    for start in range(0, len(documents), 1000):
        engine.add(documents[start : start + 1000])
    engine.finish()
    engine.open()
    return time.perf_counter() - started


def megabytes(root: Path) -> float:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / 1e6


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds of one search: by the clock, and of this thread on a processor (less where others are busy)."""

    clock: float
    processor: float


def times(work: Callable[[str], object], queries: Sequence[str]) -> list[Taken]:
    taken = []
    for query in queries:
        started, worked = time.perf_counter(), time.thread_time()
        work(query)
        taken.append(Taken((time.perf_counter() - started) * 1000, (time.thread_time() - worked) * 1000))
    return taken


def search(engine: SearchEngine) -> Callable[[str], object]:
    return lambda query: engine.search(ask(query), filters=Filters(), limit=10, boosts={}, timeout=60)


def own_scorer(root: Path) -> Callable[[str], object]:
    """Whoosh's own scoring loop over the same index, the same words and the same fields."""
    index: Any = LibraryIndex(root / (root / "current").read_text().strip()).open()
    searcher: Any = index.searcher(weighting=BM25F(B=B, K1=K1))

    def work(query: str) -> object:
        terms = {term.text for word in ask(query).words for term in word.terms if not term.stop}
        every = [Term(name, text, boost=FIELD_WEIGHTS[name]) for name in FIELD_WEIGHTS for text in sorted(terms)]
        return searcher.search(Or(every), limit=10)

    return work


def p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def clock(taken: Sequence[Taken]) -> list[float]:
    return [each.clock for each in taken]


def mean(taken: Sequence[Taken]) -> float:
    """Of the processor's time: a ratio of two runs does not depend on what else was running."""
    return statistics.fmean(each.processor for each in taken)


def said(taken: Sequence[Taken]) -> str:
    values, worked = clock(taken), [each.processor for each in taken]
    line = f"p50 {statistics.median(values):7.2f} ms   p95 {p95(values):7.2f} ms   slowest {max(values):7.2f} ms"
    return f"{line}   processor p50 {statistics.median(worked):6.2f} p95 {p95(worked):6.2f}"


def plainly(values: Sequence[float]) -> str:
    return f"p50 {statistics.median(values):7.2f} ms   p95 {p95(values):7.2f} ms   slowest {max(values):7.2f} ms"


def told(value: float, most: float) -> str:
    return f"(to reach: {most:g}){'' if value <= most else '  MISSED'}"


def visible_after(engine: SearchEngine, document: Document) -> float:
    started = time.perf_counter()
    engine.update([replace(document, title="Zyxwvut", id="new")])
    if not engine.search(ask("zyxwvut"), filters=Filters(), limit=1, boosts={}, timeout=60).ranked:
        raise RuntimeError("the change is not visible")
    return (time.perf_counter() - started) * 1000


class Shelf:
    """The documents as a package keeps them: here in memory, so that only the search is measured.

    It also knows the changes that are to come (``new-0`` to ``new-99``), in whichever process it is.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = {document.id: document for document in documents}
        changed = {f"new-{number}": word for number, word in enumerate(WORDS)}
        self._changes = {id: replace(documents[0], id=id, title=word.capitalize()) for id, word in changed.items()}

    async def documents(self) -> AsyncIterator[Document]:
        for document in self._documents.values():
            yield document

    async def document(self, id: str) -> Document | None:
        return self._documents.get(id) or self._changes.get(id)


def from_commit_to_hit(root: Path, documents: Sequence[Document]) -> list[float]:
    """A change is committed in PostgreSQL and indexed by one process; until when is it found by another one?"""
    with tempfile.TemporaryDirectory(prefix="compagnon-bench-") as folder:
        Path(folder).chmod(0o711)
        with database_address(Settings.load({}, data_dir=Path(folder))) as url:
            asyncio.run(prepare(url))
            forked = multiprocessing.get_context("fork")  # with the documents that are here already
            ready = forked.Event()
            worker = forked.Process(target=lambda: asyncio.run(_work(url, root, documents, ready)))
            worker.start()
            try:
                ready.wait()
                return asyncio.run(_changes(url, root, documents))
            finally:
                worker.terminate()
                worker.join()


def _search(db: Database, root: Path, documents: Sequence[Document]) -> Search:
    search = Search(db, WhooshEngine(root))
    search.library_source("article", Shelf(documents))
    return search


async def _work(url: str, root: Path, documents: Sequence[Document], ready: Event) -> None:
    async with Database(url) as db:
        search = _search(db, root, documents)
        await search.reindex()
        async with search.working():
            await asyncio.sleep(SETTLED)  # it holds the lock now; the other one waits for it, as a second server does
            ready.set()
            await asyncio.Event().wait()


async def _changes(url: str, root: Path, documents: Sequence[Document]) -> list[float]:
    async with Database(url) as db:
        asking = _search(db, root, documents)
        async with asking.working():
            await asyncio.sleep(SETTLED)
            return [await _one_change(db, asking, number) for number in range(len(WORDS))]


async def _one_change(db: Database, asking: Search, number: int) -> float:
    async with db.transaction() as conn:
        await asking.changed(conn, "article", f"new-{number}")
    started = time.perf_counter()
    while not (await asking.find(WORDS[number], exact=True)).total:
        await asyncio.sleep(0.005)
    return (time.perf_counter() - started) * 1000


def tantivy_times(root: Path, documents: Sequence[Document], queries: Sequence[str]) -> tuple[list[Taken], list[Taken]]:
    """Behind our protocol (facets, documents, why), and its bare ranking of the same words in the same fields."""
    from kb.search.tantivy_engine import TantivyEngine
    from kb.search.tantivy_queries import Queries

    engine = TantivyEngine(root)
    seconds = build(engine, documents)
    print(f"  tantivy: indexed in {seconds:.1f} s, {megabytes(root):.0f} MB")
    searcher = engine._searcher()
    asked = Queries(engine._schema, searcher)
    times(search(engine), queries)
    return times(search(engine), queries), times(lambda query: searcher.search(asked.text(ask(query)), 10), queries)


def measure(documents: Sequence[Document], queries: Sequence[str], place: Path) -> bool:
    root = place / "whoosh"
    seconds = build(WhooshEngine(root), documents)
    print(f"{len(documents)} documents, {len(queries)} questions")
    print(f"  indexed in {seconds:.1f} s ({len(documents) / seconds:.0f} a second), {megabytes(root):.0f} MB")
    engine = WhooshEngine(root)
    engine.open()
    cold = times(search(engine), queries)
    warm = times(search(engine), queries)
    print(f"  engine, cold             {said(cold)}   {told(p95(clock(cold)), COLD)}")
    print(f"  engine, warm             {said(warm)}   {told(p95(clock(warm)), WARM)}")
    try:
        same, bare = tantivy_times(place / "tantivy", documents, queries)
    except ImportError:
        print("  tantivy is not installed: no comparison")
    else:
        print(f"  tantivy, same protocol   {said(same)}   ours takes {mean(warm) / mean(same):.2f} × as long")
        ratio = mean(warm) / mean(bare)
        print(f"  tantivy, ranking alone   {said(bare)}   ours takes {ratio:.2f} × as long {told(ratio, RATIO)}")
    own = times(own_scorer(root), queries[:: max(1, len(queries) // OWN_SCORER)])
    print(f"  Whoosh's own scorer      {said(own)}   {mean(own) / mean(warm):.0f} × ours")
    changed = [visible_after(engine, documents[0]) for _ in range(CHANGES)]
    print(f"  a change, in the engine  {plainly(changed)}")
    soon = measure_changes(documents, place)
    return soon and p95(clock(cold)) <= COLD and p95(clock(warm)) <= WARM


def measure_changes(documents: Sequence[Document], place: Path) -> bool:
    seen = from_commit_to_hit(place / "served", documents)
    print(f"  from commit to hit       {plainly(seen)}   {told(p95(seen), VISIBLE)}")
    return p95(seen) <= VISIBLE


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="where the labelled sets are")
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="how many sections")
    parser.add_argument("--changes-only", action="store_true", help="only how long a commit takes to be found")
    options = parser.parse_args(arguments)
    folder = folder_of(options.folder)
    if folder is None or not (folder / "anchors").is_dir():
        print("search: no labelled questions (set COMPAGNON_RELEVANCE); skipped")
        return 0
    labelled = load(folder / "anchors")
    documents = list(sections(labelled.documents))[: options.documents]
    with tempfile.TemporaryDirectory(prefix="compagnon-bench-") as place:
        if options.changes_only:
            return 0 if measure_changes(documents, Path(place)) else 1
        return 0 if measure(documents, labelled.queries, Path(place)) else 1


if __name__ == "__main__":
    sys.exit(main())

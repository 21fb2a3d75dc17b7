"""Relevance and speed of the library search on labelled queries.

    python bench/search.py [--large] [--folder FOLDER]

Reads the sets ``titleq`` and ``anchors`` (corpus.jsonl.gz, queries.tsv, qrels.tsv) from FOLDER, else
COMPAGNON_RELEVANCE, else the folder ``relevance`` beside COMPAGNON_CORPORA. Prints for each set the mean reciprocal
rank of the first ten, the time of a search (cold: a fresh engine's first sight of each word; warm: the second time),
the same for Whoosh's own scorer over the same index in the same run, and how long a change takes to be visible.
``--large`` cuts the documents into sections until there are 50,000.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from whoosh.query import Or, Term
from whoosh.scoring import BM25F

from kb.search.model import Document, Filters
from kb.search.postings import K1, B
from kb.search.question import ask
from kb.search.whoosh_engine import WhooshEngine
from kb.search.whoosh_format import FIELD_WEIGHTS
from kb.search.whoosh_index import LibraryIndex

SETS = {"titleq": 0.70, "anchors": 0.75}  # and the reciprocal rank to reach
DEPTH = 10
OWN_SCORER = 100  # queries given to Whoosh's own scorer
LARGE = 50_000
SECTION = 70  # words


def folder_of(given: str | None) -> Path | None:
    beside = os.environ.get("COMPAGNON_CORPORA")
    for place in (given, os.environ.get("COMPAGNON_RELEVANCE"), beside and str(Path(beside).parent / "relevance")):
        if place and Path(place).is_dir():
            return Path(place)
    return None


def documents_of(folder: Path) -> list[Document]:
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Document(kind="article", id=row["id"], title=row["title"], url=f"/a/{row['id']}", body=row["body"])
        for row in rows
    ]


def table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def sections(documents: Sequence[Document]) -> Iterator[Document]:
    for document in documents:
        words = document.body.split(" ")
        for number, start in enumerate(range(0, max(len(words), 1), SECTION)):
            yield replace(document, id=f"{document.id}#{number}", body=" ".join(words[start : start + SECTION]))


def build(root: Path, documents: Sequence[Document]) -> tuple[WhooshEngine, float]:
    engine = WhooshEngine(root)
    started = time.perf_counter()
    engine.begin()
    for start in range(0, len(documents), 1000):
        engine.add(documents[start : start + 1000])
    engine.finish()
    engine.open()
    return engine, time.perf_counter() - started


def run(engine: WhooshEngine, queries: Sequence[str]) -> tuple[list[list[str]], list[float]]:
    found, times = [], []
    for query in queries:
        started = time.perf_counter()
        ranking = engine.search(ask(query), filters=Filters(), limit=DEPTH, boosts={}, timeout=60)
        times.append((time.perf_counter() - started) * 1000)
        found.append([item.document.id for item in ranking.ranked])
    return found, times


def reciprocal_rank(found: Sequence[Sequence[str]], wanted: Sequence[set[str]]) -> float:
    ranks = [
        next((1 / place for place, id_ in enumerate(ids, 1) if id_ in good), 0.0)
        for ids, good in zip(found, wanted, strict=True)
    ]
    return statistics.fmean(ranks)


def whoosh_times(root: Path, queries: Sequence[str]) -> list[float]:
    """Whoosh's own scoring loop over the same index, the same words and the same fields."""
    index: Any = LibraryIndex(root / (root / "current").read_text().strip()).open()
    times = []
    with index.searcher(weighting=BM25F(B=B, K1=K1)) as searcher:
        for query in queries:
            started = time.perf_counter()
            terms = {term.text for word in ask(query).words for term in word.terms if not term.stop}
            asked = Or(
                [Term(name, text, boost=FIELD_WEIGHTS[name]) for name in FIELD_WEIGHTS for text in sorted(terms)]
            )
            searcher.search(asked, limit=DEPTH)
            times.append((time.perf_counter() - started) * 1000)
    return times


def percentiles(times: Sequence[float]) -> str:
    ordered = sorted(times)
    return f"p50 {ordered[len(ordered) // 2]:.2f} ms, p95 {ordered[int(len(ordered) * 0.95)]:.2f} ms"


def visible_after(engine: WhooshEngine, document: Document) -> float:
    started = time.perf_counter()
    engine.update([replace(document, title="Zyxwvut", id="new")])
    ranking = engine.search(ask("zyxwvut"), filters=Filters(), limit=1, boosts={}, timeout=60)
    if not ranking.ranked:
        raise RuntimeError("the change is not visible")
    return (time.perf_counter() - started) * 1000


def measure(name: str, target: float, folder: Path, *, large: bool) -> bool:
    documents = documents_of(folder)
    rows = table(folder / "queries.tsv")
    relevant: dict[str, set[str]] = defaultdict(set)
    for query_id, document_id, *_ in table(folder / "qrels.tsv"):
        relevant[query_id].add(document_id)
    queries, wanted = [row[1] for row in rows], [relevant[row[0]] for row in rows]
    indexed = list(sections(documents))[:LARGE] if large else documents
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "search"
        engine, seconds = build(root, indexed)
        fresh = WhooshEngine(root)
        _, cold = run(fresh, queries)
        found, warm = run(fresh, queries)
        own = whoosh_times(root, queries[:: max(1, len(queries) // OWN_SCORER)])
        update = visible_after(engine, documents[0])
    print(f"{name}: {len(indexed)} documents indexed in {seconds:.1f} s, {len(queries)} queries")
    reached = True
    if not large:
        score = reciprocal_rank(found, wanted)
        reached = score >= target
        print(f"  mean reciprocal rank   {score:.4f} (to reach: {target:.2f}){'' if reached else '  MISSED'}")
    print(f"  search, cold           {percentiles(cold)}")
    print(f"  search, warm           {percentiles(warm)}")
    print(
        f"  Whoosh's own scorer    {percentiles(own)}  ({statistics.fmean(own) / statistics.fmean(warm):.0f} × as long)"
    )
    print(f"  a change is visible in {update:.0f} ms")
    return reached


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="where the labelled sets are")
    parser.add_argument("--large", action="store_true", help="sections instead of documents, up to 50,000; speed only")
    parser.add_argument("--set", choices=sorted(SETS), action="append", help="only this set")
    options = parser.parse_args(arguments)
    folder = folder_of(options.folder)
    if folder is None:
        print("search: no labelled queries (set COMPAGNON_RELEVANCE); skipped")
        return 0
    chosen = options.set or list(SETS)
    reached = [
        measure(name, SETS[name], folder / name, large=options.large) for name in chosen if (folder / name).is_dir()
    ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())

"""How well the library search finds what labelled questions ask for.

    python bench/relevance.py [--folder FOLDER] [--set titleq|anchors]

Reads the sets (corpus.jsonl.gz, queries.tsv, qrels.tsv) from FOLDER, else COMPAGNON_RELEVANCE, else the folder
``relevance`` beside COMPAGNON_CORPORA. Compares plain Whoosh (one field, its own analyser, BM25), our engine, our
engine with one typing mistake in each question, without accents, and with the past questions of each document
(half of the questions of a document are learnt, the other half are asked). Then a thousand made-up identifiers.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from labelled import DEPTH, Scores, Set, folder_of, held_out, load, misspelt, scores, unaccented
from whoosh.fields import ID, TEXT, Schema
from whoosh.filedb.filestore import RamStorage
from whoosh.qparser import OrGroup, QueryParser

from kb.search.correcting import corrected
from kb.search.model import Document, Filters
from kb.search.question import ask
from kb.search.spelling import Dictionary
from kb.search.whoosh_engine import WhooshEngine

TARGETS = {"titleq": 0.70, "anchors": 0.75}  # mean reciprocal rank
TYPO = 0.02  # most that one mistake in each question may cost
IDENTIFIERS = 0.98  # of made-up identifiers, the right document comes first
MADE_UP = 1_000
Finder = Callable[[str], list[str]]


def plain_whoosh(documents: Sequence[Document]) -> Finder:
    """What one gets from the library's own defaults: one field, its own words, its own BM25."""
    schema: Any = Schema(id=ID(stored=True), text=TEXT())
    index = RamStorage().create_index(schema)
    writer: Any = index.writer(limitmb=256)
    for document in documents:
        writer.add_document(id=document.id, text=f"{document.title}\n{document.body}")
    writer.commit()
    searcher: Any = index.searcher()
    parser: Any = QueryParser("text", schema, group=OrGroup)

    def find(query: str) -> list[str]:
        words = "".join(c if c.isalnum() else " " for c in query)
        return [hit["id"] for hit in searcher.search(parser.parse(words), limit=DEPTH)]

    return find


def ours(root: Path, documents: Sequence[Document]) -> Finder:
    """The engine, with words that it does not know respelt, as the service does it."""
    engine = WhooshEngine(root)
    engine.begin()
    engine.add(documents)
    engine.finish()
    dictionary = Dictionary(engine.vocabulary())

    def find(query: str) -> list[str]:
        question = ask(query)
        ranking = engine.search(question, filters=Filters(), limit=DEPTH, boosts={}, timeout=60)
        if ranking.unknown and (text := corrected(question, ranking.unknown, dictionary)):
            ranking = engine.search(ask(text), filters=Filters(), limit=DEPTH, boosts={}, timeout=60)
        return [item.document.id for item in ranking.ranked]

    return find


def asked(find: Finder, labelled: Set, change: Callable[[str], str] = str) -> Scores:
    return scores([find(change(query)) for query in labelled.queries], labelled.wanted)


def measure(name: str, folder: Path) -> bool:
    labelled = load(folder)
    before, after = held_out(labelled)
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as place:
        engine = ours(Path(place) / "a", labelled.documents)
        clean = asked(engine, labelled)
        typo = asked(engine, labelled, lambda query: misspelt(query, chance))
        bare = asked(engine, labelled, unaccented)
        rows = [("plain Whoosh BM25", asked(plain_whoosh(labelled.documents), labelled)), ("ours", clean)]
        rows += [("ours, one typing mistake", typo), ("ours, without accents", bare)]
        if before.queries:
            rows.append((f"ours, {len(before.queries)} held-out questions", asked(engine, before)))
            rows.append(("  + feedback (past questions)", asked(ours(Path(place) / "b", after.documents), after)))
    print(f"\n{name}: {len(labelled.documents)} documents, {len(labelled.queries)} questions")
    print(f"{'':34} MRR@10   nDCG@10  success@1 recall@100")
    for label, row in rows:
        print(f"  {label:32} {row}")
    reached = clean.mrr >= TARGETS[name]
    print(f"  mean reciprocal rank to reach: {TARGETS[name]:.2f}{'' if reached else '  MISSED'}")
    cost = clean.mrr - typo.mrr
    print(f"  one mistake costs {cost:.4f} (at most {TYPO}){'' if cost <= TYPO else '  MISSED'}")
    return reached and cost <= TYPO


def identifiers(documents: Sequence[Document]) -> bool:
    """Error codes, updates, commands and paths, each in one document among near neighbours."""
    chance = random.Random(2)
    made = [_identifier(number, chance) for number in range(MADE_UP)]
    texts = [
        Document(kind="article", id=f"made-{n}", title="Erreur connue", url="/", body=f"Le message {each} s'affiche.")
        for n, each in enumerate(made)
    ]
    with tempfile.TemporaryDirectory() as place:
        find = ours(Path(place) / "a", [*documents, *texts])
        good = sum(find(_asked(each, chance))[:1] == [f"made-{n}"] for n, each in enumerate(made))
    share = good / MADE_UP
    print(f"\nidentifiers: success@1 {share:.3f} of {MADE_UP} made up (to reach: {IDENTIFIERS})", end="")
    print("" if share >= IDENTIFIERS else "  MISSED")
    return share >= IDENTIFIERS


def _identifier(number: int, chance: random.Random) -> str:
    code = f"{chance.randrange(0x80070000, 0x800FFFFF):08X}"
    word = "".join(chance.choice("abcdefghiklmnoprstuv") for _ in range(6))
    return (
        f"0x{code}",
        f"KB50{number:05d}",
        f"Get-{word.capitalize()}Adapter{number}",
        f"{word}{number}.exe",
        f"C:\\Windows\\System32\\{word}{number}.dll",
        f"/etc/{word}{number}/main.conf",
    )[number % 6]


def _asked(identifier: str, chance: random.Random) -> str:
    return chance.choice(("{}", "erreur {}", "{} que faire", "le message {} s'affiche au démarrage")).format(identifier)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="where the labelled sets are")
    parser.add_argument("--set", choices=sorted(TARGETS), action="append", help="only this set")
    options = parser.parse_args(arguments)
    folder = folder_of(options.folder)
    if folder is None:
        print("relevance: no labelled questions (set COMPAGNON_RELEVANCE); skipped")
        return 0
    chosen = [name for name in options.set or TARGETS if (folder / name).is_dir()]
    reached = [measure(name, folder / name) for name in chosen]
    if chosen:
        reached.append(identifiers(load(folder / chosen[0]).documents))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The labelled sets, and what is done to their questions."""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import random
import statistics
import string
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kb.search.model import Document

SECTION = 70  # words
DEPTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    documents: Sequence[Document]
    queries: Sequence[str]
    wanted: Sequence[frozenset[str]]  # ids of the documents that answer each query


def folder_of(given: str | None) -> Path | None:
    beside = os.environ.get("COMPAGNON_CORPORA")
    for place in (given, os.environ.get("COMPAGNON_RELEVANCE"), beside and str(Path(beside).parent / "relevance")):
        if place and Path(place).is_dir():
            return Path(place)
    return None


def load(folder: Path) -> Set:
    relevant: dict[str, set[str]] = defaultdict(set)
    for query_id, document_id, *_ in table(folder / "qrels.tsv"):
        relevant[query_id].add(document_id)
    rows = table(folder / "queries.tsv")
    return Set(
        documents=documents_of(folder),
        queries=[row[1] for row in rows],
        wanted=[frozenset(relevant[row[0]]) for row in rows],
    )


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


def held_out(labelled: Set) -> tuple[Set, Set]:
    """Of each document that several questions lead to, every second one: without what the others teach, and with it.

    The questions that are asked are the same in both; none of them is ever among those that were learnt.
    """
    by_document: dict[str, list[int]] = defaultdict(list)
    for number, wanted in enumerate(labelled.wanted):
        if len(wanted) == 1:
            by_document[next(iter(wanted))].append(number)
    asked, past = [], defaultdict(list)
    for id_, numbers in by_document.items():
        if len(numbers) > 1:
            asked += numbers[::2]
            past[id_] = [labelled.queries[number] for number in numbers[1::2]]
    queries, wanted = [labelled.queries[n] for n in asked], [labelled.wanted[n] for n in asked]
    learnt = [replace(document, queries=tuple(past[document.id])) for document in labelled.documents]
    return replace(labelled, queries=queries, wanted=wanted), Set(documents=learnt, queries=queries, wanted=wanted)


def misspelt(query: str, chance: random.Random) -> str:
    """One mistake in one word of four letters or more: a letter dropped, added, changed, or two swapped."""
    words = query.split(" ")
    places = [index for index, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    if not places:
        return query
    index = chance.choice(places)
    words[index] = _mistake(words[index], chance)
    return " ".join(words)


def _mistake(word: str, chance: random.Random) -> str:
    at, letter = chance.randrange(1, len(word) - 1), chance.choice(string.ascii_lowercase)
    ways = (
        word[:at] + word[at + 1 :],
        word[:at] + letter + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )
    return chance.choice(ways)


def unaccented(query: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", query) if not unicodedata.combining(c))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means over the questions: reciprocal rank and gain of the first ten, right at once, right within a hundred."""

    mrr: float
    ndcg: float
    success: float
    recall: float

    def __str__(self) -> str:
        return f"{self.mrr:.4f}   {self.ndcg:.4f}   {self.success:.4f}   {self.recall:.4f}"


def scores(found: Sequence[Sequence[str]], wanted: Sequence[frozenset[str]]) -> Scores:
    pairs = list(zip(found, wanted, strict=True))
    return Scores(
        mrr=statistics.fmean(_reciprocal(ids[:10], good) for ids, good in pairs),
        ndcg=statistics.fmean(_gain(ids[:10], good) for ids, good in pairs),
        success=statistics.fmean(bool(ids) and ids[0] in good for ids, good in pairs),
        recall=statistics.fmean(len(good & set(ids)) / max(len(good), 1) for ids, good in pairs),
    )


def _reciprocal(ids: Sequence[str], good: frozenset[str]) -> float:
    return next((1 / place for place, id_ in enumerate(ids, 1) if id_ in good), 0.0)


def _gain(ids: Sequence[str], good: frozenset[str]) -> float:
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(len(good), 10) + 1))
    return sum(1 / math.log2(place + 1) for place, id_ in enumerate(ids, 1) if id_ in good) / (ideal or 1)

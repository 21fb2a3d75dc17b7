"""A small library for the tests of the search, and how they ask it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kb.search.choosing import choose
from kb.search.engine import Ranking, SearchEngine
from kb.search.model import Document, Filters
from kb.search.question import ask

PRINTER = Document(
    kind="procedure",
    id="imp-001.fr",
    title="L'imprimante réseau n'imprime plus",
    url="/procedures/imp-001",
    symptoms=("Rien ne sort de l'imprimante", "file d'attente bloquée"),
    identifiers=("spoolsv.exe", "0x80070005"),
    steps=("Vérifiez que l'imprimante répond", "Videz la file d'attente"),
    environments=("poste-windows-11",),
    skills=("impression",),
)
QUEUE = Document(
    kind="procedure",
    id="imp-001.en",
    title="The network printer does not print",
    url="/procedures/imp-001",
    locale="en",
    body="Empty the printing queue.",
    environments=("poste-windows-11",),
    skills=("impression",),
)
DNS = Document(
    kind="procedure",
    id="net-003.fr",
    title="Résoudre un nom DNS",
    url="/procedures/net-003",
    body="Lisez /etc/resolv.conf puis relancez systemd-resolved.",
    environments=("poste-debian-12",),
    skills=("reseau",),
)
ARTICLE = Document(
    kind="article", id="7", title="Choisir une imprimante", url="/articles/7", body="Laser ou jet d'encre."
)
LIBRARY = (PRINTER, QUEUE, DNS, ARTICLE)


def filled(engine: Any, documents: Sequence[Document]) -> Any:
    engine.begin()
    engine.add(documents)
    engine.finish()
    engine.open()
    return engine


def search(
    engine: SearchEngine, text: str, *, filters: Filters | None = None, boosts: Mapping[str, float] | None = None,
    limit: int = 10, typing: bool = False,
) -> Ranking:  # fmt: skip
    return engine.search(
        ask(text, typing=typing), filters=filters or Filters(), limit=limit, boosts=boosts or {}, timeout=10
    )


def ids(ranking: Ranking) -> list[str]:
    return [item.document.id for item in ranking.ranked]


def read_until_told(engine: SearchEngine) -> str:
    """Ask until a line comes in. How often it was asked, how often wrongly answered, and what the line finds."""
    searches = errors = 0
    told: list[str] = []
    threading.Thread(target=lambda: told.append(sys.stdin.readline().strip())).start()
    while not told or not searches:
        searches += 1
        errors += ids(search(engine, "DNS")) != ["net-003.fr"]
    return f"{searches} {errors} {' '.join(ids(search(engine, told[0])))}"


if __name__ == "__main__":
    print(read_until_told(choose(sys.argv[1], Path(sys.argv[2]))))

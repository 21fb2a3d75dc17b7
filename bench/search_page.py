"""Time of the search page over real HTTP: 50,000 articles in the library, 20 members who search at the same time.

    python bench/search_page.py [--documents 50000] [--tickets 20000] [--seconds 40] [--data FOLDER]

The articles are the sections of the set ``titleq`` (see bench/labelled.py for where it is looked for; without it,
invented words), the questions those of the set. ``--data`` keeps what was loaded and uses it again. The server is a
process of its own on a database of its own; the searchers are in this process, on the same cores, which makes every
figure worse than it is.

1. As one types: ``/search/suggest`` for each beginning of a question, one after the other (the members take turns, as
   one alone would soon be told to wait).
2. At work: each searcher asks, reads for 1 to 5 seconds (3 on average), asks again.
3. At work, while another member sends hostile questions as fast as they are answered or refused.
4. As fast as possible: no thinking. Nobody works so; it says what the server can bear.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path

import httpx
from labelled import folder_of, sections
from labelled import load as labelled
from pages import CLIENTS, PASSWORD, _clients, _member, _tickets, _token, own_corpus, serve

from compagnon.app.database import database_address, prepare
from compagnon.app.wiring import Services, build_services, running
from compagnon.audit import Actor
from compagnon.settings import Settings
from kb.articles.model import Content, ImportedArticle, Solution
from kb.search import store as search_store
from kb.search.model import IndexPhase

SEARCHERS = 20
THINKING = (1.0, 5.0)  # seconds
BATCH = 250  # articles of one transaction
ENVIRONMENTS = ("poste-debian-12", "poste-windows-11", "")
HOSTILE = (
    "a" * 30_000, "imprimante " * 2_000, "*" * 3_000, "i* m* p* r* e* s* " * 15, '"' * 500, "(a+)+$" * 60,
    '"le la les de du des" ' * 10, "\u202e" * 1_000, "-a " * 90, "type: env: os: lang: " * 12, "é" * 10_000,
)  # fmt: skip
TARGETS = {"as typed": 30.0, "at work": 60.0}  # p95, milliseconds


@dataclass(slots=True, kw_only=True)
class Times:
    """Milliseconds of each answer, and how many were no page."""

    taken: list[float] = field(default_factory=list)
    failed: int = 0

    def line(self, name: str, seconds: float) -> str:
        ranked = sorted(self.taken)
        p95, p99 = (ranked[min(len(ranked) - 1, int(len(ranked) * share))] for share in (0.95, 0.99))
        rate = len(ranked) / seconds
        failed = f"  {self.failed} failed" if self.failed else ""
        target = next((limit for known, limit in TARGETS.items() if name == known), None)
        verdict = "" if target is None else f"  target {target:.0f}: {'reached' if p95 <= target else 'missed'}"
        return f"{name:34}{statistics.median(ranked):8.1f}{p95:8.1f}{p99:8.1f}{rate:9.1f}/s{verdict}{failed}"


def library(count: int, folder: Path | None) -> tuple[Iterator[tuple[str, str]], list[str], str]:
    """Title and text of each article, questions, and where they come from."""
    if folder is None:
        dice = random.Random(11)
        known = [f"mot{rank}" for rank in range(20_000)]
        weights = [1 / (rank + 10) for rank in range(len(known))]

        def words(low: int, high: int) -> str:
            return " ".join(dice.choices(known, weights, k=dice.randint(low, high)))

        return ((words(4, 9), words(40, 90)) for _ in range(count)), [words(2, 6) for _ in range(300)], "own generator"
    known_set = labelled(folder / "titleq")
    texts = list(sections(known_set.documents))
    repeated = (texts[number % len(texts)] for number in range(count))
    return ((one.title, one.body) for one in repeated), list(known_set.queries), "titleq"


def article(number: int, title: str, body: str) -> ImportedArticle:
    environment = ENVIRONMENTS[number % len(ENVIRONMENTS)]
    content = Content(
        title=" ".join(title.split())[:190] or f"Article {number}",
        condition=body[:200] or "?",
        solutions=(Solution(remedy=body or "?"),),
        applies_to=(environment,) if environment else (),
        licence="bench",
        source_name="bench",
        source_url="https://example.org/",
    )
    digest = hashlib.sha256(f"{number} {title} {body}".encode()).hexdigest()
    return ImportedArticle(source="bench", source_id=str(number), digest=digest, locale="fr", content=content)


async def load(services: Services, texts: Iterator[tuple[str, str]], tickets: int) -> None:
    async with running(services, background=False):
        members = [await _member(services, number) for number in range(1, SEARCHERS + 2)]
        async with services.kernel.db.transaction() as conn:
            await _clients(conn)
            await _tickets(conn, own_corpus(tickets), members[:20])
        await services.kernel.directory.refresh_all()
        batch: list[ImportedArticle] = []
        for number, (title, body) in enumerate(texts):
            batch.append(article(number, title, body))
            if len(batch) == BATCH:
                await _put(services, batch)
                batch = []
        await _put(services, batch)
        async with services.kernel.db.connection() as conn:
            await conn.execute("ANALYZE")
        await services.kb.search.reindex()


async def index_ready(services: Services) -> None:
    """The server looks at the index when it starts, builds it anew where the analysis is another one now, and brings in
    what changed meanwhile: thousands of articles of which an hourly look says that their review is due.
    """
    async with running(services, background=False):
        await asyncio.sleep(5)
        while (await services.kb.search.progress()).phase is not IndexPhase.READY or await _waiting(services):
            await asyncio.sleep(1)


async def _waiting(services: Services) -> int:
    async with services.kernel.db.connection() as conn:
        return await search_store.waiting(conn)


async def _put(services: Services, batch: Sequence[ImportedArticle]) -> None:
    async with services.kernel.db.transaction() as conn:
        for one in batch:
            await services.kb.articles.put_imported(one, actor=Actor.system(), conn=conn)


async def signed_in(stack: AsyncExitStack, url: str, number: int) -> httpx.AsyncClient:
    headers = {"origin": url, "accept": "text/html"}
    client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60, headers=headers))
    token = _token((await client.get("/sign-in")).text)
    form = {"email": f"bench{number}@example.org", "password": PASSWORD, "_csrf_token": token}
    answer = await client.post("/sign-in", data=form)
    if answer.status_code != 303:
        raise SystemExit(f"signing in answered {answer.status_code}")
    return client


async def timed(client: httpx.AsyncClient, times: Times, path: str, q: str) -> None:
    start = time.perf_counter()
    answer = await client.get(path, params={"q": q})
    times.taken.append((time.perf_counter() - start) * 1000)
    times.failed += answer.status_code != 200


async def searcher(client: httpx.AsyncClient, questions: Sequence[str], times: Times, until: float, seed: int) -> None:
    """Asks and reads, asks and reads."""
    dice = random.Random(seed)
    await asyncio.sleep(dice.uniform(0, THINKING[1]))
    while time.monotonic() < until:
        await timed(client, times, "/search", dice.choice(questions))
        await asyncio.sleep(dice.uniform(*THINKING))


async def hurried(client: httpx.AsyncClient, questions: Sequence[str], times: Times, until: float, seed: int) -> None:
    dice = random.Random(seed)
    while time.monotonic() < until:
        await timed(client, times, "/search", dice.choice(questions))


Behaviour = Callable[[httpx.AsyncClient, Sequence[str], Times, float, int], Awaitable[None]]


async def together(
    clients: Sequence[httpx.AsyncClient], questions: Sequence[str], seconds: float, behaviour: Behaviour,
    hostile: httpx.AsyncClient | None = None,
) -> Times:  # fmt: skip
    times, ignored = Times(), Times()
    until = time.monotonic() + seconds
    work = [behaviour(client, questions, times, until, seed) for seed, client in enumerate(clients)]
    if hostile:
        work.append(hurried(hostile, HOSTILE, ignored, until, 99))
    await asyncio.gather(*work)
    if hostile:
        refused, slowest = ignored.failed, max(ignored.taken)
        print(f"  ({len(ignored.taken)} hostile questions, {refused} refused, slowest {slowest:.0f} ms)")
    return times


async def measure(url: str, questions: Sequence[str], seconds: float) -> None:
    async with AsyncExitStack() as stack:
        clients = [await signed_in(stack, url, number) for number in range(1, SEARCHERS + 2)]
        several, hostile, turn = clients[:SEARCHERS], clients[SEARCHERS], cycle(clients[:SEARCHERS])
        for question in questions:  # everything was asked once: the index is warm, as it is all day
            await next(turn).get("/search", params={"q": question})
        print(f"{'':34}{'p50':>8}{'p95':>8}{'p99':>8}")
        reference = Times()
        for _ in range(100):
            await timed(next(turn), reference, "/account", "")
        print(reference.line("a page without search (reference)", sum(reference.taken) / 1000), flush=True)
        typed, start = Times(), time.perf_counter()
        for question in questions[:60]:
            for length in range(3, min(len(question), 24), 2):
                await timed(next(turn), typed, "/search/suggest", question[:length])
        print(typed.line("as typed", time.perf_counter() - start), flush=True)
        alone = Times()
        for question in questions[:200]:
            await timed(next(turn), alone, "/search", question)
        print(alone.line("one searcher", sum(alone.taken) / 1000), flush=True)
        print((await together(several, questions, seconds, searcher)).line("at work", seconds), flush=True)
        beside = await together(several, questions, seconds, searcher, hostile)
        print(beside.line("at work, beside hostile questions", seconds), flush=True)
        fast = await together(several, questions, seconds / 2, hurried)
        print(fast.line("as fast as possible", seconds / 2), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--tickets", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--folder")
    parser.add_argument("--data", type=Path)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = asked.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compagnon-bench-")))
        folder.mkdir(mode=0o711, exist_ok=True)
        folder.chmod(0o711)
        settings = Settings.load({}, data_dir=folder / "data", secret_key="k" * 40)
        settings.data_dir.mkdir(mode=0o711, exist_ok=True)
        url = stack.enter_context(database_address(settings))
        bench(replace(settings, database_url=url), url, asked, folder / "loaded")


def bench(settings: Settings, url: str, asked: argparse.Namespace, loaded: Path) -> None:
    asyncio.run(prepare(url))
    texts, questions, source = library(asked.documents, folder_of(asked.folder))
    if not loaded.exists():
        start = time.perf_counter()
        asyncio.run(load(build_services(settings, url), texts, asked.tickets))
        loaded.write_text(f"loaded in {time.perf_counter() - start:.0f} s")
    print(f"{asked.documents} articles ({source}), {asked.tickets} tickets, {CLIENTS} clients: {loaded.read_text()}")
    process, address = serve(settings, url)
    try:
        asyncio.run(index_ready(build_services(settings, url)))
        asyncio.run(measure(address, questions[:300], asked.seconds))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


if __name__ == "__main__":
    main()

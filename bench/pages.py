"""Time of the main pages over real HTTP, with 50,000 tickets and 2,000 procedures, for a signed-in member.

    python bench/pages.py [--tickets 50000] [--procedures 2000] [--rounds 60]

The tickets are those of ``gen_tickets.py`` (folder COMPAGNON_PEERS, else ``../shared/peers``), so that another product
can be loaded with the same; without it a small generator of our own makes some. The server is a process of its own, on
a database of its own. Prints p50 and p95 in milliseconds; the first request of each page is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from compagnon.app.database import database_address, prepare
from compagnon.app.wiring import Services, build_services, running
from compagnon.auth.model import Role
from compagnon.settings import Settings
from kb.search.records import tsvector_text

PASSWORD = "a password for the bench only"
CLIENTS, MEMBERS = 2_000, 20
STATES = {"open": "in_progress", "reopened": "assigned", "resolved": "resolved", "closed": "closed"}
IMPACT = {1: ("high", "high"), 2: ("high", "medium"), 3: ("medium", "medium"), 4: ("low", "medium"), 5: ("low", "low")}
DEPARTEMENTS = ("22", "29", "35", "44", "49", "53", "56", "72", "75", "85")
SKILLS = ("bureautique", "impression", "linux", "materiel", "messagerie", "reseau", "sauvegarde", "windows")
TICKET_COLUMNS = (
    "client_id, title, symptom, impact, urgency, priority, state, owner_id, skill, departement, opened_by, created_at, "
    "updated_at, closed_at, words"
)

MESSAGE_COLUMNS = "ticket_id, member_id, visibility, body, created_at"
FIRST_STATES = """
INSERT INTO ticket_states (ticket_id, state, entered_at, member_id)
SELECT id, state, created_at, opened_by FROM tickets
"""

PROCEDURE = """\
---
id: ben-{number}
type: repair
title: {title}
locale: fr
applies_to: [poste-debian-12]
esttime: PT5M
perskill: [{skill}]
risk: low
review_every: P6M
---

Suivez cette procédure quand {symptom}.

## Étapes

### s1: Redémarrez le service {word} {{importance=required}}

- stepresult: Le service {word} répond.
- on_fail: {{then: {{escalate: {skill}}}}}

## Résultat

Le service {word} répond.

## Après l'intervention

Dites au client que c'est réparé.
"""


def corpus(count: int) -> tuple[Iterator[Mapping[str, Any]], dict[str, list[str]], str]:
    """The tickets, words to search by how common they are, and where the tickets come from."""
    folder = Path(os.environ.get("COMPAGNON_PEERS") or Path(__file__).parents[2] / "shared" / "peers")
    path = folder / "gen_tickets.py"
    if not path.is_file():
        return own_corpus(count), {"rare": ["mot1999"], "middling": ["mot300"], "common": ["mot3"]}, "own generator"
    spec = importlib.util.spec_from_file_location("gen_tickets", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.tickets(count), module.probe_words(), "gen_tickets.py"


def own_corpus(count: int) -> Iterator[Mapping[str, Any]]:
    """Tickets of the same shape, of invented words as unevenly used as a language's."""
    dice = random.Random(7)
    known = [f"mot{rank}" for rank in range(2_000)]
    weights = [1 / (rank + 10) for rank in range(len(known))]

    def words(low: int, high: int) -> str:
        return " ".join(dice.choices(known, weights, k=dice.randint(low, high)))

    for number in range(count):
        created = 1735689600 + number * 600
        yield {
            "title": words(4, 9),
            "description": words(30, 90),
            "queue": dice.randint(1, 20),
            "assigned": dice.choice([None, *range(1, 21)]),
            "priority": dice.randint(1, 5),
            "status": dice.choices(list(STATES), [15, 5, 20, 60])[0],
            "created": created,
            "followups": [
                {"at": created + 3600, "by": dice.randint(1, 20), "public": True, "text": words(10, 60)}
                for _ in range(dice.randint(0, 4))
            ],
        }


async def load(services: Services, tickets: int, procedures: int) -> tuple[dict[str, list[str]], str]:
    async with running(services, background=False):
        members = [await _member(services, number) for number in range(1, MEMBERS + 1)]
        rows, probes, source = corpus(tickets)
        async with services.kernel.db.transaction() as conn:
            await _clients(conn)
            await _tickets(conn, rows, members)
        async with services.kernel.db.connection() as conn:
            await conn.execute("ANALYZE")
        await services.kernel.directory.refresh_all()
        author = await services.kernel.members.get(members[0])
        dice, vocabulary = random.Random(3), [word for words in probes.values() for word in words]
        for number in range(procedures):
            await services.procedures.library.import_text(_procedure(number, dice, vocabulary), author, publish=True)
        return probes, source


async def _member(services: Services, number: int) -> int:
    made = await services.kernel.members.create(
        email=f"bench{number}@example.org",
        name=f"Bench {number}",
        role=Role.ADMINISTRATOR if number == 1 else Role.MEMBER,
        password=PASSWORD,
        departements=(DEPARTEMENTS[number % len(DEPARTEMENTS)],),
        skills={SKILLS[number % len(SKILLS)]: 1 + number % 3},
    )
    return made.id


async def _clients(conn: Any) -> None:
    await conn.execute(
        "INSERT INTO clients (kind, name) SELECT 'company', 'Client ' || n FROM generate_series(1, %(count)s) n",
        {"count": CLIENTS},
    )


async def _tickets(conn: Any, rows: Iterator[Mapping[str, Any]], members: list[int]) -> None:
    clients = [row[0] for row in await (await conn.execute("SELECT id FROM clients ORDER BY id")).fetchall()]
    messages: list[tuple[Any, ...]] = []
    cursor = conn.cursor()
    async with cursor.copy(f"COPY tickets ({TICKET_COLUMNS}) FROM STDIN") as copy:
        for number, row in enumerate(rows, start=1):
            await copy.write_row(_ticket(row, number, clients, members))
            messages.extend((number, row_message, members) for row_message in row["followups"])
    async with cursor.copy(
        "COPY ticket_messages (ticket_id, member_id, visibility, body, created_at) FROM STDIN"
    ) as copy:
        for number, said, known in messages:
            visibility = "public" if said["public"] else "internal"
            await copy.write_row((number, known[said["by"] - 1], visibility, said["text"], _moment(said["at"])))
    await conn.execute(FIRST_STATES)


def _ticket(row: Mapping[str, Any], number: int, clients: list[int], members: list[int]) -> tuple[Any, ...]:
    owner = members[row["assigned"] - 1] if row["assigned"] else None
    state = STATES[row["status"]]
    if owner is None and state in {"in_progress", "assigned", "resolved"}:
        state = "new"
    impact, urgency = IMPACT[row["priority"]]
    last = _moment(max([row["created"], *(said["at"] for said in row["followups"])]))
    said = "\n".join([row["description"], *(said["text"] for said in row["followups"])])
    return (
        clients[number % len(clients)], row["title"], row["description"], impact, urgency, row["priority"], state,
        owner, SKILLS[row["queue"] % len(SKILLS)], DEPARTEMENTS[row["queue"] % len(DEPARTEMENTS)], members[0],
        _moment(row["created"]), last, last if state == "closed" else None, tsvector_text(row["title"], said),
    )  # fmt: skip


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _procedure(number: int, dice: random.Random, vocabulary: list[str]) -> str:
    words = dice.choices(vocabulary, k=8)
    return PROCEDURE.format(
        number=number,
        title=f"Réparer {words[0]} {words[1]}",
        symptom=f"{words[2]} {words[3]} {words[4]} ne répond plus",
        word=words[5],
        skill=SKILLS[number % len(SKILLS)],
    )


def measure(url: str, probes: Mapping[str, list[str]], tickets: int, rounds: int) -> None:
    with httpx.Client(base_url=url, timeout=60, headers={"origin": url, "accept": "text/html"}) as client:
        token = _sign_in(client)
        form = {"x-csrftoken": token}
        words = {kind: found[:20] for kind, found in probes.items()}
        style = re.search(r'href="(/static/[^"]+/shell/parts.css)"', client.get("/account").text)
        pages = {
            "a static file (reference)": lambda n: client.get(style[1] if style else "/sign-in"),
            "dashboard": lambda n: client.get("/"),
            "tickets: open": lambda n: client.get("/tickets"),
            "tickets: all, by priority": lambda n: client.get("/tickets?state=all&sort=priority"),
            "tickets: mine": lambda n: client.get("/tickets?owner=mine"),
            "tickets: département and skill": lambda n: client.get("/tickets?departement=35&skill=reseau"),
            "tickets: rare word": lambda n: client.get(f"/tickets?state=all&q={_pick(words['rare'], n)}"),
            "tickets: middling word": lambda n: client.get(f"/tickets?state=all&q={_pick(words['middling'], n)}"),
            "tickets: common word": lambda n: client.get(f"/tickets?state=all&q={_pick(words['common'], n)}"),
            "tickets: deep page": lambda n: client.get(f"/tickets?state=all&after=2025-06-01T00:00:00Z~{1 + n}"),
            "ticket": lambda n: client.get(f"/tickets/{1 + (n * 977) % tickets}"),
            "ticket: live part": lambda n: client.get(f"/tickets/{1 + (n * 977) % tickets}/fragment"),
            "capture": lambda n: client.get(f"/tickets/new?client={1 + n}"),
            "capture: caller typed": lambda n: client.post(
                "/tickets/new/callers", data={"caller": f"client {100 + n}"}, headers=form
            ),
            "capture: symptom typed": lambda n: client.post(
                "/tickets/new/suggestions",
                data={"symptom": f"{_pick(words['common'], n)} {_pick(words['middling'], n)}", "client_id": str(1 + n)},
                headers=form,
            ),
            "search: common word": lambda n: client.get(f"/search?q={_pick(words['common'], n)}"),
            "search: rare word": lambda n: client.get(f"/search?q={_pick(words['rare'], n)}"),
            "procedures": lambda n: client.get("/procedures"),
            "clients": lambda n: client.get("/clients?q=client+12"),
            "client": lambda n: client.get(f"/clients/{1 + n}"),
        }
        print(f"{'page':34}{'p50 ms':>9}{'p95 ms':>9}{'kB':>7}")
        for name, ask in pages.items():
            print(_line(name, [_timed(ask, number) for number in range(rounds + 1)][1:]))


def _pick(words: list[str], number: int) -> str:
    return words[number % len(words)]


def _timed(ask: Any, number: int) -> tuple[float, int]:
    start = time.perf_counter()
    answer = ask(number)
    took = time.perf_counter() - start
    if answer.status_code != 200:
        raise SystemExit(f"{answer.request.url} answered {answer.status_code}: {answer.text[:500]}")
    return took * 1000, len(answer.content)


def _line(name: str, taken: list[tuple[float, int]]) -> str:
    times = sorted(took for took, _ in taken)
    p95 = times[min(len(times) - 1, round(len(times) * 0.95))]
    size = statistics.median(size for _, size in taken) / 1000
    return f"{name:34}{statistics.median(times):9.1f}{p95:9.1f}{size:7.0f}"


def _sign_in(client: httpx.Client) -> str:
    token = _token(client.get("/sign-in").text)
    answer = client.post("/sign-in", data={"email": "bench1@example.org", "password": PASSWORD, "_csrf_token": token})
    if answer.status_code != 303:
        raise SystemExit(f"signing in answered {answer.status_code}")
    return _token(client.get("/account").text)


def _token(html: str) -> str:
    found = re.search(r'name="_csrf_token" value="([^"]+)"', html)
    if not found:
        raise SystemExit("the page has no anti-forgery token")
    return found[1]


def serve(settings: Settings, url: str) -> tuple[subprocess.Popen[bytes], str]:
    """The server as it is run by anyone, in a process of its own; once it answers, its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "COMPAGNON_DATA_DIR": str(settings.data_dir),
        "COMPAGNON_PORT": str(port),
        "COMPAGNON_DATABASE_URL": url,
        "COMPAGNON_LOG_LEVEL": "error",
    }
    command = [sys.executable, "-m", "compagnon.app.cli", "up"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            if httpx.get(f"{address}/sign-in", timeout=5).status_code == 200:
                return process, address
        except httpx.HTTPError:
            time.sleep(0.1)
    process.kill()
    raise SystemExit("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickets", type=int, default=50_000)
    parser.add_argument("--procedures", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compagnon-bench-") as folder:
        Path(folder).chmod(0o711)
        settings = Settings.load({}, data_dir=Path(folder) / "data", secret_key="k" * 40)
        settings.data_dir.mkdir(mode=0o711)
        with database_address(settings) as url:
            _bench(replace(settings, database_url=url), url, asked)


def _bench(settings: Settings, url: str, asked: argparse.Namespace) -> None:
    asyncio.run(prepare(url))
    start = time.perf_counter()
    services = build_services(settings, url)
    probes, source = asyncio.run(load(services, asked.tickets, asked.procedures))
    took = time.perf_counter() - start
    print(f"{asked.tickets} tickets ({source}), {asked.procedures} procedures, loaded in {took:.0f} s")
    process, address = serve(settings, url)
    try:
        _wait_for_index(address, asked.procedures)
        measure(address, probes, asked.tickets, asked.rounds)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _wait_for_index(address: str, procedures: int) -> None:
    """The server builds the search index of the procedures beside its first pages; the times are those after it."""
    time.sleep(2 + procedures / 200)


if __name__ == "__main__":
    main()

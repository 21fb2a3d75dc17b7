"""Tickets, messages, clients, machines and recordings in the amounts of a large co-operative, written with COPY.

Words are drawn as unevenly as a language's (Zipf): the commonest stand in a third of all tickets, most in a handful.
Texts are put together from sentences that are analysed once, so that the lexemes are those of the real analyser.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kb.search.analysis import VERSION, terms
from kb.search.records import quote_lexeme, tsvector_text

KNOWN = [
    "imprimante",
    "réseau",
    "poste",
    "écran",
    "messagerie",
    "serveur",
    "connexion",
    "erreur",
    "fichier",
    "session",
    "Windows",
    "sauvegarde",
    "disque",
    "mise",
    "à",
    "jour",
    "Outlook",
    "clavier",
    "pilote",
    "bourrage",
    "lenteur",
    "onduleur",
    "routeur",
    "câble",
    "antivirus",
    "facture",
    "scanner",
    "wifi",
    "tablette",
    "mémoire",
    "partage",
    "VPN",
    "téléphone",
    "compte",
    "licence",
    "dossier",
    "archive",
    "ventilateur",
    "batterie",
    "souris",
    "projecteur",
    "caisse",
    "navigateur",
    "certificat",
]
SYLLABLES = [
    "ba",
    "bre",
    "chi",
    "cro",
    "da",
    "dri",
    "fa",
    "flo",
    "ga",
    "gri",
    "jo",
    "ka",
    "lan",
    "ma",
    "mer",
    "no",
    "pa",
    "pli",
    "quo",
    "ra",
    "ri",
    "sa",
    "ste",
    "ta",
    "tru",
    "va",
    "ver",
    "zo",
]
FIRST = ("Menuiserie", "Boulangerie", "Garage", "Cabinet", "École", "Scierie", "Hôtel", "Mairie", "Ferme", "Atelier")
LAST = ("Le Goff", "Martin", "Fischer", "Durand", "Petit", "Kerjean", "Moreau", "Lefèvre", "Garnier", "Rousseau")
VOCABULARY, SENTENCES, TITLES = 30_000, 60_000, 20_000
BLOCK = 2_000  # tickets that are worked on at the same time: their messages stand mixed
CLIENTS, MACHINES, RECORDINGS = 5_000, 10_000, 2_000
YEAR = 31_536_000  # seconds
BEGINNING = datetime(2023, 1, 1, tzinfo=UTC)
STATES = ("new", "in_progress", "resolved", "closed")
STATE_WEIGHTS = (3, 5, 7, 85)
TICKETS = (
    "client_id, title, symptom, impact, urgency, priority, state, owner_id, opened_by, created_at, updated_at, "
    "closed_at, words, words_version"
)
MESSAGES = "ticket_id, member_id, visibility, body, created_at"
SESSIONS = "id, machine_id, ticket_id, reason, capability, state, short_code, requested_by, requested_at, ended_at"
TRANSCRIPTS = "session_id, file, started_at, transcript, state, words, words_version"
CLIENT_ROWS = """
INSERT INTO clients (kind, name)
SELECT 'company', (%(first)s::text[])[1 + n %% 10] || ' ' || (%(last)s::text[])[1 + n / 10 %% 10] || ' ' || n
FROM generate_series(1, %(count)s) n
"""
MACHINE_ROWS = """
INSERT INTO machines (name, client_id, public_key, hostname, os, agent_version, state, approved_at, facts)
SELECT 'Poste ' || n, 1 + n %% %(clients)s, decode(md5(n::text) || md5('k' || n), 'hex'),
    'pc-' || lpad(n::text, 5, '0'),
    (ARRAY['Debian GNU/Linux 12', 'Windows 11 Pro', 'macOS 15'])[1 + n %% 3], '0.2.0', 'approved', now(),
    jsonb_build_object('serial', upper(substr(md5('s' || n), 1, 10)), 'network', jsonb_build_array(jsonb_build_object(
        'name', 'eth0', 'up', true, 'mac', regexp_replace(substr(md5('m' || n), 1, 12), '(..)(?=.)', '\\1:', 'g'),
        'addresses', jsonb_build_array('10.' || n / 65536 || '.' || n / 256 %% 256 || '.' || n %% 256))))
FROM generate_series(1, %(count)s) n
"""
UNINDEXED = ("tickets_words", "tickets_title")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    text: str
    lexemes: frozenset[str]


class Writer:
    """Makes texts by drawing from what was analysed beforehand."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.words = _vocabulary(dice)
        weights = [1 / (rank + 4) for rank in range(len(self.words))]
        lexemes = {word: frozenset(map(quote_lexeme, terms(word))) for word in self.words}

        def sentence(low: int, high: int) -> Sentence:
            drawn = dice.choices(self.words, weights, k=dice.randint(low, high))
            return Sentence(text=" ".join(drawn), lexemes=frozenset().union(*(lexemes[word] for word in drawn)))

        self._sentences = [sentence(6, 14) for _ in range(SENTENCES)]
        titles = [sentence(3, 7).text for _ in range(TITLES)]
        self._titles = [(title, tsvector_text(title), frozenset(map(quote_lexeme, terms(title)))) for title in titles]

    def title(self) -> tuple[str, str, frozenset[str]]:
        return self.dice.choice(self._titles)

    def text(self, sentences: int) -> tuple[str, set[str]]:
        drawn = self.dice.choices(self._sentences, k=sentences)
        return ". ".join(each.text for each in drawn), set().union(*(each.lexemes for each in drawn))


def _vocabulary(dice: random.Random) -> list[str]:
    words = dict.fromkeys(KNOWN)
    while len(words) < VOCABULARY:
        words["".join(dice.choices(SYLLABLES, k=dice.randint(2, 4)))] = None
    return list(words)


async def fill(conn: Any, tickets: int, messages: int, say: Callable[[str], None]) -> Writer:
    """Everything, on an empty database that has one member at least. Foreign keys are not checked row by row."""
    dice = random.Random(7)
    writer = Writer(dice)
    await conn.execute("SET session_replication_role = replica")
    await conn.execute(CLIENT_ROWS, {"first": list(FIRST), "last": list(LAST), "count": CLIENTS})
    await conn.execute(MACHINE_ROWS, {"clients": CLIENTS, "count": MACHINES})
    await _recordings(conn, writer)
    indexes = [
        (await (await conn.execute("SELECT pg_get_indexdef(%s::regclass)", (name,))).fetchone())[0]
        for name in UNINDEXED
    ]
    await conn.execute(f"DROP INDEX {', '.join(UNINDEXED)}")
    for ticket_rows, message_rows in _blocks(writer, tickets, messages):
        await _copy(conn, f"COPY tickets ({TICKETS}) FROM STDIN", ticket_rows)
        await _copy(conn, f"COPY ticket_messages ({MESSAGES}) FROM STDIN", message_rows)
    say("rows written")
    await conn.execute("SET session_replication_role = origin")
    await conn.execute("SET maintenance_work_mem = '256MB'")
    for index in indexes:
        await conn.execute(index)
    say("indexes built")
    return writer


def _blocks(writer: Writer, tickets: int, messages: int) -> Iterator[tuple[list[str], list[str]]]:
    counts = _counts(writer.dice, tickets, messages)
    for start in range(0, tickets, BLOCK):
        rows: list[str] = []
        said: list[str] = []
        for number in range(start, min(tickets, start + BLOCK)):
            rows.append(_ticket(writer, number, tickets, counts[number], said))
        writer.dice.shuffle(said)
        yield rows, said


def _counts(dice: random.Random, tickets: int, messages: int) -> list[int]:
    """Most tickets have few messages, some have many."""
    counts = [min(120, int(dice.expovariate(tickets / messages))) for _ in range(tickets)]
    missing = messages - sum(counts)
    for index in range(abs(missing)):
        at = index % tickets
        counts[at] = max(0, counts[at] + (1 if missing > 0 else -1))
    return counts


def _ticket(writer: Writer, number: int, total: int, messages: int, said: list[str]) -> str:
    dice = writer.dice
    title, placed, titled = writer.title()
    symptom, lexemes = writer.text(3)
    created = int(3 * YEAR * number / total)
    for _ in range(messages):
        body, more = writer.text(dice.randint(1, 3))
        lexemes |= more
        visibility = "public" if dice.random() < 0.5 else "internal"
        said.append(f"{number + 1}\t1\t{visibility}\t{body}\t{_moment(created + dice.randint(60, 600_000))}\n")
    state = dice.choices(STATES, STATE_WEIGHTS)[0]
    owner = "\\N" if state == "new" else "1"
    updated = _moment(created + dice.randint(60, 600_000))
    closed = updated if state == "closed" else "\\N"
    words = f"{placed} {' '.join(lexemes - titled)}"
    return (
        f"{1 + dice.randrange(CLIENTS)}\t{title}\t{symptom}\tmedium\tmedium\t3\t{state}\t{owner}\t1\t"
        f"{_moment(created)}\t{updated}\t{closed}\t{words}\t{VERSION}\n"
    )


def _moment(seconds: int) -> str:
    return (BEGINNING + timedelta(seconds=seconds)).isoformat()


async def _recordings(conn: Any, writer: Writer) -> None:
    """Sessions on the first machines, each with a screenful of lines."""
    rows: list[str] = []
    said: list[str] = []
    for number in range(RECORDINGS):
        session = f"{number:032x}"
        text, _ = writer.text(40)
        lines = text.replace(". ", "\\n")
        words = tsvector_text("", text.replace(". ", "\n"))
        began = _moment(int(3 * YEAR * number / RECORDINGS))
        rows.append(f"{session}\t{1 + number % MACHINES}\t1\tRegarder\tterminal\tended\t1234\t1\t{began}\t{began}\n")
        said.append(f"{session}\tx\t{began}\t{lines}\tcomplete\t{words}\t{VERSION}\n")
    await _copy(conn, f"COPY remote_sessions ({SESSIONS}) FROM STDIN", rows)
    await _copy(conn, f"COPY recordings ({TRANSCRIPTS}) FROM STDIN", said)


async def _copy(conn: Any, statement: str, rows: Sequence[str]) -> None:
    buffer = io.StringIO()
    buffer.writelines(rows)
    async with conn.cursor().copy(statement) as copy:
        await copy.write(buffer.getvalue())

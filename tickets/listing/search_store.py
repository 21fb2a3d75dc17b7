"""SQL that finds tickets for the global search and the link picker.

A common word stands in hundreds of thousands of tickets: reading and sorting them all would take seconds and tell
nobody more. What PostgreSQL expects to be common is therefore looked for among the newest tickets only, everything else
through the index; either way the few hundred newest matches are ranked, never all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg.rows import class_row

from compagnon.db import Connection
from tickets.desk.model import State

COMMON = 3_000  # expected matches above which the index is not asked first
WINDOW = 6_000  # newest tickets that are looked through for common words
TITLES = 4_000  # and their titles for a piece of a word
RANKED = 150  # newest matches that are ranked
FEWEST_RANKED = 30  # of common words
FRAGMENTS = 5_000  # titles that hold a fragment and are sorted by age
MESSAGES = 60  # newest messages of a found ticket in which the words are looked for
MESSAGE_LENGTH = 3_000  # characters of each of them
SYMPTOM_LENGTH = 4_000

# Who may find a ticket and read its messages, internal ones too: every member, as any member helps any client.
READABLE: LiteralString = "reads_records(%(reader)s)"

# One plan for three questions: each is planned by itself, as nothing is moved into or out of a materialized part.
EXPECTED = """
EXPLAIN (FORMAT JSON)
WITH every AS MATERIALIZED (SELECT FROM tickets WHERE words @@ %(every)s::tsquery),
    lead AS MATERIALIZED (SELECT FROM tickets WHERE words @@ %(lead)s::tsquery),
    last AS MATERIALIZED (SELECT FROM tickets WHERE words @@ %(last)s::tsquery)
SELECT FROM every, lead, last
"""
BY_NUMBER = f"SELECT id FROM tickets WHERE {READABLE} AND id = %(number)s"  # noqa: S608 - constants
# Words of the title count ten times as much as others, a year of age halves.
RANK: LiteralString = """
SELECT id FROM matched ORDER BY ts_rank('{0.1, 0.1, 0.1, 1.0}', words, %(all)s::tsquery)
    / (1 + extract(epoch FROM now() - updated_at) / 31536000) DESC, updated_at DESC, id DESC LIMIT %(limit)s
"""
AMONG_NEWEST = f"""
WITH newest AS MATERIALIZED (
    SELECT id, updated_at, words FROM tickets WHERE {READABLE} ORDER BY updated_at DESC, id DESC LIMIT %(window)s
), matched AS MATERIALIZED (
    SELECT * FROM newest WHERE words @@ %(all)s::tsquery ORDER BY updated_at DESC, id DESC LIMIT %(ranked)s
) {RANK}
"""  # noqa: S608 - constants
# The words themselves (they are large, and stored apart) are read of those only that are ranked.
BY_INDEX = f"""
WITH found AS MATERIALIZED (
    SELECT id, updated_at FROM tickets WHERE words @@ %(all)s::tsquery AND {READABLE}
), newest AS MATERIALIZED (
    SELECT id FROM found ORDER BY updated_at DESC, id DESC LIMIT %(ranked)s
), matched AS MATERIALIZED (
    SELECT t.id, t.updated_at, t.words FROM newest JOIN tickets t ON t.id = newest.id
) {RANK}
"""  # noqa: S608 - constants
# All words but the last are rare: a beginning that fits thousands of words is only looked at in what they found.
BY_LEAD = f"""
WITH led AS MATERIALIZED (
    SELECT id, updated_at, words FROM tickets WHERE words @@ %(lead)s::tsquery AND {READABLE}
), matched AS MATERIALIZED (
    SELECT * FROM (SELECT * FROM led ORDER BY updated_at DESC, id DESC OFFSET 0) newest
    WHERE words @@ %(all)s::tsquery LIMIT %(ranked)s
) {RANK}
"""  # noqa: S608 - constants
FRAGMENT_AMONG_NEWEST = f"""
WITH newest AS MATERIALIZED (
    SELECT id, updated_at, title FROM tickets WHERE {READABLE} ORDER BY updated_at DESC, id DESC LIMIT %(titles)s
) SELECT id FROM newest WHERE title ILIKE %(like)s ORDER BY updated_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - constants
FRAGMENT_BY_INDEX = f"""
WITH matched AS MATERIALIZED (
    SELECT id, updated_at FROM tickets WHERE title ILIKE %(like)s AND {READABLE} LIMIT %(fragments)s
) SELECT id FROM matched ORDER BY updated_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - constants
SHOWN = f"""
SELECT t.id, t.title, left(t.symptom, %(symptom)s) AS symptom, t.state, c.name AS client_name, t.updated_at
FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS wanted(id, place)
JOIN tickets t ON t.id = wanted.id JOIN clients c ON c.id = t.client_id WHERE {READABLE} ORDER BY wanted.place
"""  # noqa: S608 - constants
SAID = f"""
SELECT x.ticket_id, x.id, m.name AS author, left(x.body, %(length)s) AS body
FROM unnest(%(ids)s::bigint[]) AS wanted(id)
CROSS JOIN LATERAL (
    SELECT ticket_id, id, member_id, body FROM ticket_messages WHERE ticket_id = wanted.id
    ORDER BY id DESC LIMIT %(messages)s
) x JOIN members m ON m.id = x.member_id WHERE {READABLE} ORDER BY x.ticket_id, x.id DESC
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How many tickets PostgreSQL expects to hold all words, all but the last, the last."""

    every: int
    lead: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is shown of a found ticket."""

    id: int
    title: str
    symptom: str
    state: State
    client_name: str
    updated_at: datetime

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text
        object.__setattr__(self, "state", State(self.state))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message of a found ticket, its beginning."""

    ticket_id: int
    id: int
    author: str
    body: str


async def expected(conn: Connection, *, every: str, lead: str, last: str) -> Expected:
    """From the statistics alone: nothing is read. Without ``lead`` or ``last`` they are as ``every``."""
    words = {"every": every, "lead": lead or every, "last": last or every}
    row = await (await conn.execute(EXPECTED, words)).fetchone()
    plans = row[0][0]["Plan"]["Plans"] if row else []
    rows = {plan["Subplan Name"]: int(plan["Plan Rows"]) for plan in plans if "Subplan Name" in plan}
    return Expected(every=rows["CTE every"], lead=rows["CTE lead"], last=rows["CTE last"])


async def by_number(conn: Connection, reader: int, number: int) -> list[int]:
    return await _ids(conn, BY_NUMBER, {"reader": reader, "number": number})


async def among_newest(conn: Connection, reader: int, tsquery: str, limit: int) -> list[int]:
    """Of common words only a few times as many as are shown are ranked: reading goes on until there are so many."""
    ranked = min(RANKED, max(FEWEST_RANKED, 5 * limit))
    return await _ids(conn, AMONG_NEWEST, {"reader": reader, "all": tsquery, "limit": limit, "ranked": ranked})


async def by_index(conn: Connection, reader: int, tsquery: str, limit: int) -> list[int]:
    return await _ids(conn, BY_INDEX, {"reader": reader, "all": tsquery, "limit": limit})


async def by_lead(conn: Connection, reader: int, tsquery: str, lead: str, limit: int) -> list[int]:
    return await _ids(conn, BY_LEAD, {"reader": reader, "all": tsquery, "lead": lead, "limit": limit})


async def fragment_among_newest(conn: Connection, reader: int, like: str, limit: int) -> list[int]:
    return await _ids(conn, FRAGMENT_AMONG_NEWEST, {"reader": reader, "like": like, "limit": limit})


async def fragment_by_index(conn: Connection, reader: int, like: str, limit: int) -> list[int]:
    return await _ids(conn, FRAGMENT_BY_INDEX, {"reader": reader, "like": like, "limit": limit})


async def shown(conn: Connection, reader: int, ids: Sequence[int]) -> list[Shown]:
    """In the order of ``ids``."""
    cursor = conn.cursor(row_factory=class_row(Shown))
    values = {"reader": reader, "ids": list(ids), "symptom": SYMPTOM_LENGTH}
    return await (await cursor.execute(SHOWN, values)).fetchall()


async def said(conn: Connection, reader: int, ids: Sequence[int]) -> list[Said]:
    """The newest messages of these tickets, the newest first."""
    cursor = conn.cursor(row_factory=class_row(Said))
    values = {"reader": reader, "ids": list(ids), "messages": MESSAGES, "length": MESSAGE_LENGTH}
    return await (await cursor.execute(SAID, values)).fetchall()


async def _ids(conn: Connection, statement: LiteralString, values: Mapping[str, Any]) -> list[int]:
    bounds = {"window": WINDOW, "ranked": RANKED, "titles": TITLES, "fragments": FRAGMENTS}
    return [row[0] for row in await (await conn.execute(statement, {**bounds, **values})).fetchall()]

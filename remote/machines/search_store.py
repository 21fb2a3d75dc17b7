"""SQL that finds machines for the global search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import class_row

from compagnon.db import Connection

TERMS = 5  # words of a question that are used
CANDIDATES = 500  # machines that are ranked, of those that hold the words and of those whose client does

# Who may find a machine: every member, as any member helps any client; one that was turned away for good is gone.
READABLE: LiteralString = "reads_records(%(reader)s) AND m.state <> 'revoked'"
ITS_OWN: Sequence[LiteralString] = (
    "m.search LIKE %(p0)s",
    " AND m.search LIKE %(p1)s",
    " AND m.search LIKE %(p2)s",
    " AND m.search LIKE %(p3)s",
    " AND m.search LIKE %(p4)s",
)
OF_CLIENT: Sequence[LiteralString] = (
    "c.search LIKE %(p0)s",
    " OR c.search LIKE %(p1)s",
    " OR c.search LIKE %(p2)s",
    " OR c.search LIKE %(p3)s",
    " OR c.search LIKE %(p4)s",
)
EITHER: Sequence[LiteralString] = (
    "(m.search LIKE %(p0)s OR c.search LIKE %(p0)s)",
    " AND (m.search LIKE %(p1)s OR c.search LIKE %(p1)s)",
    " AND (m.search LIKE %(p2)s OR c.search LIKE %(p2)s)",
    " AND (m.search LIKE %(p3)s OR c.search LIKE %(p3)s)",
    " AND (m.search LIKE %(p4)s OR c.search LIKE %(p4)s)",
)


def _search(count: int) -> LiteralString:
    own, client, either = "".join(ITS_OWN[:count]), "".join(OF_CLIENT[:count]), "".join(EITHER[:count])
    return f"""
WITH found AS MATERIALIZED (
    (SELECT m.id FROM machines m WHERE {READABLE} AND {own} LIMIT %(candidates)s)
    UNION
    (SELECT m.id FROM clients c JOIN machines m ON m.client_id = c.id
     WHERE {READABLE} AND c.active AND ({client}) AND {either} LIMIT %(candidates)s)
)
SELECT m.id, m.name, m.hostname, m.os, m.environment, c.name AS client_name,
    coalesce(m.facts ->> 'serial', '') AS serial,
    coalesce((SELECT string_agg(address, ', ') FROM (
        SELECT address FROM jsonb_array_elements(coalesce(m.facts -> 'network', '[]')) card,
            jsonb_array_elements_text(card -> 'addresses') address
        WHERE address NOT LIKE '127.%%' AND address NOT LIKE '%%:%%' LIMIT 2) shown), '') AS addresses
FROM found JOIN machines m ON m.id = found.id JOIN clients c ON c.id = m.client_id
ORDER BY CASE WHEN m.search LIKE %(whole)s THEN 0 WHEN m.search LIKE %(begun)s THEN 1
         WHEN m.search LIKE %(p0)s THEN 2 ELSE 3 END, m.name, m.id
LIMIT %(limit)s
"""  # noqa: S608 - constants


READS = f"SELECT FROM machines m WHERE m.id = %(id)s AND {READABLE}"
SEARCH: Sequence[LiteralString] = ("", *(_search(count) for count in range(1, TERMS + 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMachine:
    """What is shown of a found machine. ``addresses`` are at most two."""

    id: int
    name: str
    hostname: str
    os: str
    environment: str | None
    client_name: str
    serial: str
    addresses: str


async def search(conn: Connection, reader: int, terms: Sequence[str], limit: int) -> list[FoundMachine]:
    """Machines that hold all ``terms`` (at least one), themselves or together with their client.

    Those first in which the terms stand side by side as whole words (the exact serial), then as begun ones.
    """
    values: Mapping[str, object] = {f"p{index}": _pattern(term) for index, term in enumerate(terms)}
    together = _literal(" ".join(terms))
    more = {"reader": reader, "whole": f"% {together} %", "begun": f"% {together}%"}
    cursor = conn.cursor(row_factory=class_row(FoundMachine))
    bounds = {"candidates": CANDIDATES, "limit": limit}
    return await (await cursor.execute(SEARCH[len(terms)], {**values, **more, **bounds})).fetchall()


async def readable(conn: Connection, reader: int, machine_id: int) -> bool:
    """Whether there is such a machine, and ``reader`` may find it."""
    return await (await conn.execute(READS, {"id": machine_id, "reader": reader})).fetchone() is not None


def _pattern(term: str) -> str:
    """Short words are looked for at the beginning of words only: the trigram index finds those too."""
    return f"% {_literal(term)}%" if len(term) < 3 else f"%{_literal(term)}%"


def _literal(term: str) -> str:
    return term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")

"""SQL of the clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString, TypeVar

from psycopg.rows import class_row

from compagnon.db import Connection
from compagnon.directory.model import TERMS_LIMIT, Client, ClientHit, Contact, Mail, NewSite, Phone, Site

T = TypeVar("T")
CLIENT: LiteralString = "id, kind, name, notes, active, created_at"
GET = f"SELECT {CLIENT} FROM clients WHERE id = %(id)s"  # noqa: S608 - constants
SEVERAL = f"SELECT {CLIENT} FROM clients WHERE id = ANY(%(ids)s)"  # noqa: S608 - constants
INSERT = "INSERT INTO clients (kind, name, notes) VALUES (%(kind)s, %(name)s, %(notes)s) RETURNING id"
UPDATE = """
UPDATE clients SET kind = %(kind)s, name = %(name)s, notes = %(notes)s, updated_at = now() WHERE id = %(id)s
"""
SET_ACTIVE = "UPDATE clients SET active = %(active)s, updated_at = now() WHERE id = %(id)s AND active <> %(active)s"
REFRESH = "UPDATE clients SET search = client_search_text(id), updated_at = now() WHERE id = %(id)s"
REFRESH_ALL = "UPDATE clients SET search = client_search_text(id) WHERE search <> client_search_text(id)"

SITES = """
SELECT id, client_id, label, address, postcode, town, departement FROM sites WHERE client_id = %(id)s ORDER BY id
"""
CONTACTS = "SELECT id, client_id, name, job FROM contacts WHERE client_id = %(id)s ORDER BY id"
PHONES = """
SELECT id, client_id, contact_id, number, digits, label FROM client_phones WHERE client_id = %(id)s ORDER BY id
"""
MAILS = "SELECT id, client_id, contact_id, address, label FROM client_mails WHERE client_id = %(id)s ORDER BY id"
INSERT_SITE = """
INSERT INTO sites (client_id, label, address, postcode, town, departement)
VALUES (%(client_id)s, %(label)s, %(address)s, %(postcode)s, %(town)s, %(departement)s) RETURNING id
"""
INSERT_CONTACT = "INSERT INTO contacts (client_id, name, job) VALUES (%(client_id)s, %(name)s, %(job)s) RETURNING id"
INSERT_PHONE = """
INSERT INTO client_phones (client_id, contact_id, number, digits, label)
VALUES (%(client_id)s, %(contact_id)s, %(number)s, %(digits)s, %(label)s) RETURNING id
"""
INSERT_MAIL = """
INSERT INTO client_mails (client_id, contact_id, address, label)
VALUES (%(client_id)s, %(contact_id)s, %(address)s, %(label)s) RETURNING id
"""
REMOVE: Mapping[str, LiteralString] = {
    "sites": "DELETE FROM sites WHERE id = %(id)s AND client_id = %(client_id)s",
    "contacts": "DELETE FROM contacts WHERE id = %(id)s AND client_id = %(client_id)s",
    "phones": "DELETE FROM client_phones WHERE id = %(id)s AND client_id = %(client_id)s",
    "mails": "DELETE FROM client_mails WHERE id = %(id)s AND client_id = %(client_id)s",
}
DEPARTEMENTS = "SELECT DISTINCT departement FROM sites ORDER BY 1"

# The best few are chosen on the clients alone; what is shown of them is looked up only for those.
HIT: LiteralString = """
SELECT c.id, c.kind, c.name, coalesce(s.town, '') AS town, coalesce(s.departement, '') AS departement,
       coalesce(p.number, '') AS phone, coalesce(m.address, '') AS mail, coalesce(t.name, '') AS contact
FROM best c
LEFT JOIN LATERAL (SELECT town, departement FROM sites WHERE client_id = c.id ORDER BY id LIMIT 1) s ON true
LEFT JOIN LATERAL (SELECT number FROM client_phones WHERE client_id = c.id
    ORDER BY position(%(first)s IN digits) > 0 DESC, id LIMIT 1) p ON true
LEFT JOIN LATERAL (SELECT address FROM client_mails WHERE client_id = c.id
    ORDER BY position(lower(%(first)s) IN address) > 0 DESC, id LIMIT 1) m ON true
LEFT JOIN LATERAL (SELECT name FROM contacts WHERE client_id = c.id
    ORDER BY position(directory_fold(%(first)s) IN directory_fold(name)) > 0 DESC, id LIMIT 1) t ON true
ORDER BY c.rank, c.name, c.id
"""
# Terms of one or two characters are looked for at the beginning of words only: the trigram index finds those too.
# A name that begins with the first word, then a word that begins with it, then the rest.
RANK: LiteralString = """
CASE WHEN search LIKE ' ' || lower(unaccent(%(t0)s)) || '%%' THEN 0
     WHEN search LIKE '%% ' || lower(unaccent(%(t0)s)) || '%%' THEN 1 ELSE 2 END
"""
TERM: Sequence[LiteralString] = (
    "search LIKE %(p0)s || lower(unaccent(%(t0)s)) || '%%'",
    " AND search LIKE %(p1)s || lower(unaccent(%(t1)s)) || '%%'",
    " AND search LIKE %(p2)s || lower(unaccent(%(t2)s)) || '%%'",
    " AND search LIKE %(p3)s || lower(unaccent(%(t3)s)) || '%%'",
    " AND search LIKE %(p4)s || lower(unaccent(%(t4)s)) || '%%'",
)
IN_DEPARTEMENT: LiteralString = """
AND (%(departement)s::text IS NULL OR EXISTS (
    SELECT FROM sites d WHERE d.client_id = clients.id AND d.departement = %(departement)s))
"""
# Who may find a client: any member finds any client that is not archived; reader NULL: the product itself asks.
READABLE: LiteralString = "active AND (%(reader)s::bigint IS NULL OR reads_records(%(reader)s))"
# Ranking tens of thousands would take longer than anyone waits, and nobody reads them: the first 5,000 are ranked.
EVERYONE: LiteralString = f"""
WITH best AS MATERIALIZED (
    SELECT id, kind, name, 0 AS rank FROM clients WHERE {READABLE} {IN_DEPARTEMENT}
    ORDER BY name, id LIMIT %(limit)s OFFSET %(offset)s)
{HIT}"""  # noqa: S608 - constants


def _search(count: int) -> LiteralString:
    where: LiteralString = "".join(TERM[:count])
    return f"""
WITH found AS MATERIALIZED (
    SELECT id, kind, name, search FROM clients WHERE {READABLE} AND {where} {IN_DEPARTEMENT} LIMIT 5000),
best AS MATERIALIZED (
    SELECT id, kind, name, {RANK} AS rank FROM found ORDER BY rank, name, id LIMIT %(limit)s OFFSET %(offset)s)
{HIT}"""  # noqa: S608 - constants


SEARCH: Sequence[LiteralString] = (EVERYONE, *(_search(count) for count in range(1, TERMS_LIMIT + 1)))

READS = f"SELECT FROM clients WHERE id = %(id)s AND {READABLE}"


async def get(conn: Connection, client_id: int) -> Client | None:
    cursor = conn.cursor(row_factory=class_row(Client))
    return await (await cursor.execute(GET, {"id": client_id})).fetchone()


async def readable(conn: Connection, client_id: int, reader: int) -> bool:
    """Whether there is such a client, and ``reader`` may find it."""
    return await (await conn.execute(READS, {"id": client_id, "reader": reader})).fetchone() is not None


async def several(conn: Connection, ids: Sequence[int]) -> list[Client]:
    return await _all(conn, Client, SEVERAL, {"ids": list(ids)})


async def search(
    conn: Connection, terms: Sequence[str], *, departement: str | None, limit: int, offset: int, reader: int | None
) -> list[ClientHit]:
    values: dict[str, Any] = {f"t{index}": _literal(term) for index, term in enumerate(terms)}
    values |= {f"p{index}": "% " if len(term) < 3 else "%" for index, term in enumerate(terms)}
    values |= {"first": terms[0] if terms else "", "departement": departement, "limit": limit, "offset": offset}
    values |= {"reader": reader}
    return await _all(conn, ClientHit, SEARCH[len(terms)], values)


async def sites(conn: Connection, client_id: int) -> list[Site]:
    return await _all(conn, Site, SITES, {"id": client_id})


async def contacts(conn: Connection, client_id: int) -> list[Contact]:
    return await _all(conn, Contact, CONTACTS, {"id": client_id})


async def phones(conn: Connection, client_id: int) -> list[Phone]:
    return await _all(conn, Phone, PHONES, {"id": client_id})


async def mails(conn: Connection, client_id: int) -> list[Mail]:
    return await _all(conn, Mail, MAILS, {"id": client_id})


async def departements(conn: Connection) -> list[str]:
    return [row[0] for row in await (await conn.execute(DEPARTEMENTS)).fetchall()]


async def insert(conn: Connection, kind: str, name: str, notes: str) -> int:
    return await _insert(conn, INSERT, {"kind": kind, "name": name, "notes": notes})


async def update(conn: Connection, client_id: int, kind: str, name: str, notes: str) -> bool:
    values = {"id": client_id, "kind": kind, "name": name, "notes": notes}
    return (await conn.execute(UPDATE, values)).rowcount == 1


async def set_active(conn: Connection, client_id: int, active: bool) -> bool:
    return (await conn.execute(SET_ACTIVE, {"id": client_id, "active": active})).rowcount == 1


async def insert_site(conn: Connection, client_id: int, site: NewSite) -> int:
    values = {name: getattr(site, name) for name in ("label", "address", "postcode", "town", "departement")}
    return await _insert(conn, INSERT_SITE, {"client_id": client_id, **values})


async def insert_contact(conn: Connection, client_id: int, name: str, job: str) -> int:
    return await _insert(conn, INSERT_CONTACT, {"client_id": client_id, "name": name, "job": job})


async def insert_phone(
    conn: Connection, client_id: int, contact_id: int | None, number: str, digits: str, label: str
) -> int:
    values = {"client_id": client_id, "contact_id": contact_id, "number": number, "digits": digits, "label": label}
    return await _insert(conn, INSERT_PHONE, values)


async def insert_mail(conn: Connection, client_id: int, contact_id: int | None, address: str, label: str) -> int:
    values = {"client_id": client_id, "contact_id": contact_id, "address": address, "label": label}
    return await _insert(conn, INSERT_MAIL, values)


async def remove(conn: Connection, what: str, client_id: int, item_id: int) -> bool:
    """``what`` is one of sites, contacts, phones, mails."""
    return (await conn.execute(REMOVE[what], {"id": item_id, "client_id": client_id})).rowcount == 1


async def refresh(conn: Connection, client_id: int) -> None:
    """Bring the search text of a client up to date: after every change of it or of what hangs on it."""
    await conn.execute(REFRESH, {"id": client_id})


async def refresh_all(conn: Connection) -> int:
    """After rows were written past the store (bulk import). How many had to be changed."""
    return (await conn.execute(REFRESH_ALL)).rowcount


def _literal(term: str) -> str:
    return term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def _insert(conn: Connection, query: LiteralString, values: Mapping[str, Any]) -> int:
    row = await (await conn.execute(query, values)).fetchone()
    assert row is not None, "INSERT … RETURNING gives a row"
    return int(row[0])


async def _all(conn: Connection, kind: type[T], query: LiteralString, values: Mapping[str, Any]) -> list[T]:
    cursor = conn.cursor(row_factory=class_row(kind))
    return await (await cursor.execute(query, values)).fetchall()

"""The demo's articles: written by one member, reviewed by another, with what they said about having followed them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compagnon.auth.model import Member
from kb.articles.model import Content, Link, Solution, Version, VersionState
from kb.articles.service import Articles
from tickets.desk.service import Desk

DATA = Path(__file__).parent / "demo_data" / "articles.toml"
SAID = ("title", "condition", "error_codes", "applies_to", "os", "skills", "procedures", "known_error", "workaround")


async def load(articles: Articles, desk: Desk, members: Mapping[str, Member], tickets: Mapping[str, int]) -> None:
    """Write them all; what an interrupted load wrote before is gone on with. ``tickets``: ids by the demo's keys."""
    with DATA.open("rb") as file:
        entries: list[dict[str, Any]] = tomllib.load(file)["article"]
    written: dict[str, int] = {}
    for entry in entries:
        origin = await _origin(desk, tickets, entry)
        translates_id = written.get(entry.get("translates", ""))
        written[entry["key"]] = await _write(articles, entry, members, origin, translates_id)


async def _origin(desk: Desk, tickets: Mapping[str, int], entry: Mapping[str, Any]) -> Link | None:
    if "ticket" not in entry:
        return None
    ticket = await desk.get(tickets[entry["ticket"]])
    return Link(kind="ticket", ref=str(ticket.id), why="origin", label=ticket.title, url=ticket.url)


async def _write(
    articles: Articles,
    entry: Mapping[str, Any],
    members: Mapping[str, Member],
    origin: Link | None,
    translates_id: int | None,
) -> int:
    author = members[entry["by"]]
    version = await articles.create(
        _content(entry),
        entry["locale"],
        author,
        translates_id=translates_id,
        origin=origin,
        request_key=f"demo-{entry['key']}",
    )
    await _review(articles, entry, version, members)
    for word in entry.get("said", ()):
        await articles.tell(version.article_id, members[word["by"]], solved=word["solved"], note=word.get("note", ""))
    return version.article_id


def _content(entry: Mapping[str, Any]) -> Content:
    values = {name: entry[name] for name in SAID if name in entry}
    return Content(**values, solutions=[Solution(**pair) for pair in entry["solutions"]])


async def _review(
    articles: Articles, entry: Mapping[str, Any], version: Version, members: Mapping[str, Member]
) -> None:
    if entry.get("draft") or not version.open:
        return
    if version.state is VersionState.DRAFT:
        await articles.submit(version.article_id, members[entry["by"]], seen=version.digest)
    if "review" in entry:
        await articles.publish(version.article_id, members[entry["review"]], seen=version.digest)

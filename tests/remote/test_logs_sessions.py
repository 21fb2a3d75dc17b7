"""Logs through the whole path: a member's page, the recording, the agent, the ticket."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from remote_parts import is_open, until

from compagnon.errors import Conflict
from compagnon_agent.logs import sources as agent_sources
from remote.logs.model import Query
from remote.recordings import cast as recording_file


@pytest.fixture
async def logs(server, cast, agent, ticket):
    """An open ``logs`` session of Alice's, with its agent there."""
    sessions = server.services.remote.sessions
    opened = await sessions.open(agent.machine_id, ticket, "Voir", cast.alice, capability="logs")
    await until(lambda: is_open(server, opened.id), what="the session is open")
    return await sessions.get(opened.id)


def a_log() -> str:
    """Some text log of this very machine."""
    found = [source for source in agent_sources.files(agent_sources.FOLDER) if source.size and not source.rotated]
    if not found:
        pytest.skip("this machine has no log in /var/log")
    return found[0].id


async def labels(server, session):
    recordings = server.services.remote.recordings
    path = recordings.path(await recordings.get(session.id))
    with path.open("rb") as file:
        return [marker.label for marker in recording_file.markers(iter(file))]


async def test_what_is_looked_at_is_recorded(server, cast, agent, logs, client_for):
    alice, source = await client_for(cast.alice), a_log()
    offered = await alice.get(f"/sessions/{logs.id}/logs")
    assert f'value="{source}"' in offered.text
    page = await alice.get(f"/sessions/{logs.id}/logs/lines", params={"source": source, "text": "e", "severity": 7})
    assert page.status_code == 200, page.text
    assert "log-line" in page.text
    assert f"logs.read: {cast.alice.name}: {source} text=e" in await labels(server, logs)
    written = [json.loads(line) for line in (agent.folder / "audit.jsonl").read_text().splitlines()]
    assert any(line["event"] == "logs.read" and line["details"]["source"] == source for line in written)


@pytest.mark.parametrize("source", ["file:../../etc/passwd", "file:/etc/shadow", "nonsense"])
async def test_only_what_is_offered_can_be_read(server, cast, logs, client_for, source):
    alice = await client_for(cast.alice)
    answer = await alice.get(f"/sessions/{logs.id}/logs/lines", params={"source": source})
    assert answer.status_code == 409
    assert "root:" not in answer.text


async def test_an_expression_that_never_ends_is_given_up(server, cast, logs, monkeypatch):
    """The evil expression and the text it hangs on are the reader's own: the agent's process is what is bounded."""
    source, use_cases = a_log(), server.services.remote.called.logs
    evil = Query(source=source, text=r"(.|.)*(.|.)*(.|.)*(.|.)*(.|.)*\x00$", regex=True)
    with pytest.raises(Conflict) as refused:
        await use_cases.read(logs.id, cast.alice, evil)
    assert "too long" in str(refused.value)


async def test_who_has_no_business_there_reads_nothing(server, cast, logs, client_for):
    chloe = await client_for(cast.chloe)
    for path in ("", "/lines?source=journal"):
        assert (await chloe.get(f"/sessions/{logs.id}/logs{path}")).status_code == 403


async def test_lines_go_to_the_ticket_as_an_internal_note(server, cast, logs, ticket, client_for):
    alice = await client_for(cast.alice)
    answer = await alice.post(f"/sessions/{logs.id}/logs/note", data={"lines": "cups: ```\n<b>no</b> such printer"})
    assert answer.status_code == 200, answer.text
    story = (await alice.get(f"/tickets/{ticket}")).text
    assert "&lt;b&gt;no&lt;/b&gt; such printer" in story
    assert re.search(r"said-internal[^>]*>.*no", story, re.DOTALL)
    empty = await alice.post(f"/sessions/{logs.id}/logs/note", data={"lines": "   "})
    assert empty.status_code == 422


async def test_a_log_is_followed_on_the_page_until_it_is_left(server, cast, logs, page_of, client_for):
    page = await page_of(cast.alice, logs)
    alice, source = await client_for(cast.alice), a_log()
    form = {"follow": "abcdef", "source": source, "severity": "7"}
    assert (await alice.post(f"/sessions/{logs.id}/logs/follow", data=form)).status_code == 204
    assert (await alice.post(f"/sessions/{logs.id}/logs/follow", data=form)).status_code == 409, "followed already"
    assert (await alice.post(f"/sessions/{logs.id}/logs/keep", data={"follow": "abcdef"})).status_code == 204
    assert (await alice.post(f"/sessions/{logs.id}/logs/leave", data={"follow": "abcdef"})).status_code == 204
    await until(lambda: page.last("log") and page.last("log")["ended"] == "left", what="the end is told")
    assert (await alice.post(f"/sessions/{logs.id}/logs/keep", data={"follow": "abcdef"})).status_code == 409
    await asyncio.sleep(0)

"""A further session of the same kind is granted beside an open one, and within narrow limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from compagnon_agent.authorise import Grant, beside
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.messages import ConsentAnswer, ConsentKind, ConsentSource, EndReason, OpenSession
from compagnon_agent.store import Store

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
FIRST, SECOND, THIRD = "aa" * 16, "bb" * 16, "cc" * 16
GIVEN = Grant(
    kind=ConsentKind.SESSION, ticket_id=7, until=NOW + timedelta(hours=1), source=ConsentSource.DIALOG,
    session_id=FIRST, capability="terminal", member_id=1, member="Alice",
)  # fmt: skip
WANTED = replace(GIVEN, session_id=SECOND, source=ConsentSource.NONE, until=NOW)


def asked(wanted=WANTED, live=(FIRST,), grants=(GIVEN,), now=NOW):
    return beside(wanted, live=live, grants=grants, now=now)


def test_the_same_again_is_granted_as_the_first_and_not_a_second_longer():
    granted = asked()
    assert granted == replace(GIVEN, session_id=SECOND)
    assert asked(grants=(GIVEN, granted), live=(SECOND,), wanted=replace(WANTED, session_id=THIRD)).until == GIVEN.until


@pytest.mark.parametrize(
    "other",
    [
        {"member_id": 2},
        {"member": "Mallory"},
        {"ticket_id": 8},
        {"capability": "files"},
        {"target": "192.168.1.1:22"},
        {"kind": ConsentKind.PROCEDURE},
    ],
)
def test_anything_else_is_asked(other):
    assert asked(replace(WANTED, **other)) is None


def test_not_after_the_first_ended_nor_after_its_time_nor_without_a_persons_yes():
    assert asked(live=()) is None
    assert asked(live=(THIRD,)) is None
    assert asked(now=GIVEN.until) is None
    assert asked(grants=()) is None
    assert asked(grants=(replace(GIVEN, source=ConsentSource.POLICY),)) is None


def test_whose_name_was_shown_is_kept(tmp_path):
    store = Store(tmp_path)
    given = replace(GIVEN, until=datetime.now(UTC) + timedelta(hours=1))
    store.add_grant(given)
    assert list(store.grants(datetime.now(UTC))) == [given]
    store.close()


def opened(session_id, **more):
    about = {"ticket_id": 7, "member_id": 1, "member_name": "Alice", "reason": "Essai", **more}
    return OpenSession(session_id=session_id, **about)


async def test_a_real_agent_asks_once_until_stop(speaking_server, terminal, runner, make):
    await speaking_server.send(make.consent(session_id=FIRST))
    await terminal.shows("[o] je donne mon accord")
    assert "n'est pas redemandée" in terminal.text
    terminal.type("o\n")
    first = await speaking_server.expect(ConsentAnswer)
    await speaking_server.send(opened(FIRST))
    await speaking_server.until(lambda: FIRST in speaking_server.terminals)
    await speaking_server.send(make.consent(session_id=SECOND))
    second = await speaking_server.expect(ConsentAnswer)
    assert (second.granted, second.source, second.until) == (True, ConsentSource.TERMINAL, first.until)
    await speaking_server.send(opened(SECOND))
    await speaking_server.until(lambda: SECOND in speaking_server.terminals)
    assert '"beside":true' in (runner.folder / "audit.jsonl").read_text()
    await speaking_server.send(make.consent(session_id=THIRD, member_name="Bruno", member_id=2, wait=5))
    await terminal.shows("Bruno (Coop) demande votre accord")
    assert not (await speaking_server.expect(ConsentAnswer, timeout=30)).granted
    await runner.command("stop-session")
    for _ in range(2):
        assert (await speaking_server.expect(messages.SessionEnded)).reason is EndReason.CLIENT
    await speaking_server.send(make.consent(session_id=THIRD, wait=5))
    await terminal.shows("Alice (Coop) demande votre accord", times=2)
    assert not (await speaking_server.expect(ConsentAnswer, timeout=30)).granted

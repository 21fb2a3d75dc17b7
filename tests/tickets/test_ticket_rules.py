"""Pure rules: priority, states, the list's cursor, the safe Markdown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tickets.desk.markdown import rendered
from tickets.desk.model import (
    OPEN_STATES,
    Impact,
    State,
    StateInterval,
    TimelineItem,
    Urgency,
    may_become,
    may_close,
    merge,
    needs_owner,
    next_states,
    priority,
    waited,
    with_owner,
)
from tickets.listing.model import Cursor, Owner, Sort, TicketFilter


@pytest.mark.parametrize(
    ("impact", "urgency", "expected"),
    [
        ("high", "high", 1),
        ("high", "medium", 2),
        ("medium", "high", 2),
        ("medium", "medium", 3),
        ("high", "low", 3),
        ("low", "high", 3),
        ("low", "medium", 4),
        ("medium", "low", 4),
        ("low", "low", 5),
    ],
)
def test_priority_is_the_matrix_of_impact_and_urgency(impact: str, urgency: str, expected: int) -> None:
    assert priority(Impact(impact), Urgency(urgency)) == expected


def test_no_state_leads_to_closed_but_closing_itself() -> None:
    assert not any(may_become(state, State.CLOSED) for state in State)
    assert all(may_close(state) for state in State if state is not State.CLOSED)


def test_a_closed_ticket_stays_closed() -> None:
    assert next_states(State.CLOSED) == ()
    assert not may_close(State.CLOSED)


def test_a_resolved_ticket_is_only_taken_up_again() -> None:
    assert next_states(State.RESOLVED) == (State.IN_PROGRESS,)


def test_nothing_becomes_what_it_is() -> None:
    assert not any(may_become(state, state) for state in State)


def test_a_waiting_ticket_may_wait_for_nobody_but_not_be_worked_on_by_nobody() -> None:
    assert needs_owner(State.IN_PROGRESS)
    assert needs_owner(State.RESOLVED)
    assert not needs_owner(State.WAITING_CLIENT)


def test_open_states_are_those_before_resolved() -> None:
    assert set(State) - set(OPEN_STATES) == {State.RESOLVED, State.CLOSED}


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def interval(state: State, start: int, end: int | None) -> StateInterval:
    return StateInterval(
        id=start,
        state=state,
        entered_at=NOON + timedelta(minutes=start),
        left_at=None if end is None else NOON + timedelta(minutes=end),
        member_id=1,
        member_name="Alice",
        reason="",
    )


def test_only_waiting_counts_as_waited_and_the_present_stay_runs_until_now() -> None:
    stays = [
        interval(State.NEW, 0, 10),
        interval(State.WAITING_CLIENT, 10, 25),
        interval(State.IN_PROGRESS, 25, 30),
        interval(State.WAITING_THIRD_PARTY, 30, None),
    ]
    assert waited(stays, NOON + timedelta(minutes=40)) == timedelta(minutes=25)


def test_a_story_is_in_order_and_keeps_the_strands_at_the_same_instant() -> None:
    state = TimelineItem(at=NOON, kind="state", data="a")
    message = TimelineItem(at=NOON, kind="message", data="b")
    earlier = TimelineItem(at=NOON - timedelta(seconds=1), kind="run", data="c")
    assert [item.data for item in merge([state], [message], [earlier])] == ["c", "a", "b"]


@pytest.mark.parametrize("sort", list(Sort))
def test_a_cursor_reads_what_it_wrote(sort: Sort) -> None:
    cursor = Cursor(value=3 if sort is Sort.PRIORITY else NOON, id=12)
    assert Cursor.read(str(cursor), sort) == cursor


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "~",
        "x~1",
        "2026-01-01T00:00:00~1",
        "3~0",
        "3~-1",
        "3~99999999999999999999",
        "nan~1",
        "99~1",
        "3~١",
        "3~1'--",
    ],
)
@pytest.mark.parametrize("sort", list(Sort))
def test_a_foreign_cursor_is_no_cursor(raw: str, sort: Sort) -> None:
    assert Cursor.read(raw, sort) is None


def test_a_filters_address_leaves_out_what_is_the_default() -> None:
    assert TicketFilter(member_id=1).query() == ""
    wanted = TicketFilter(member_id=1, owner=Owner.MINE, text="rien n'imprime", priority=2)
    assert wanted.query() == "owner=mine&priority=2&q=rien+n%27imprime"


@pytest.mark.parametrize(
    ("hostile", "forbidden"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("<img src=x onerror=alert(1)>", "<img"),
        ("[x](javascript:alert(1))", 'href="javascript'),
        ("[x](data:text/html;base64,PHNjcmlwdD4=)", 'href="data'),
        ("![x](https://tracker.example/a.png)", "<img"),
        ("<svg/onload=alert(1)>", "<svg"),
        ('<a href="x" onclick="y">z</a>', "<a href"),
        ("`<b>`\n\n    <script>", "<script"),
        ("<style>*{display:none}</style>", "<style"),
        ("[a](https://x.example){onclick=alert(1)}", "<a onclick"),
    ],
)
def test_a_message_cannot_do_anything(hostile: str, forbidden: str) -> None:
    assert forbidden not in rendered(hostile)


def test_a_message_is_markdown() -> None:
    html = rendered("**fait**\nsuite\n\n- un\n\n[site](https://example.org)")
    assert "<strong>fait</strong><br>" in html
    assert "<li>un</li>" in html
    assert 'rel="noopener noreferrer nofollow"' in html


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
@pytest.mark.parametrize("owner_id", [None, 3])
def test_a_new_owner_moves_a_ticket_only_where_it_may_go(state: State, owner_id: int | None) -> None:
    after = with_owner(state, owner_id)
    assert after is None or after is state or may_become(state, after)
    assert after is None or owner_id is not None or not needs_owner(after)


def test_a_ticket_that_waits_goes_on_waiting_without_its_owner() -> None:
    assert with_owner(State.WAITING_CLIENT, None) is State.WAITING_CLIENT
    assert with_owner(State.RESOLVED, None) is None

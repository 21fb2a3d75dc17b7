"""The two streams of a session, as pure objects: nothing lost, nothing doubled."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.sessions import scrollback
from remote.sessions.scrollback import SCROLLBACK, Scrollback
from remote.sessions.typed import BUFFER, Typed


def test_bytes_are_found_by_their_offset_for_ever():
    kept, whole = Scrollback(), b""
    for number in range(3000):
        line = b"%d %s\n" % (number, b"x" * (number % 997))
        kept.append(line)
        whole += line
    assert kept.end == len(whole)
    assert SCROLLBACK <= kept.end - kept.base <= SCROLLBACK + scrollback.SLACK
    for offset in (kept.base, kept.base + 12345, kept.end - 10):
        assert kept.read(offset, 5000) == whole[offset : offset + 5000]
    assert not kept.holds(kept.base - 1)


def test_a_snapshot_starts_at_a_line_in_the_modes_in_force_there():
    kept = Scrollback()
    kept.append(b"\x1b[?1049h\x1b[?25l\x1b[?9999h" + b"first\n")
    for _ in range(40):
        kept.append(b"y" * 50_000 + b"\n")
    kept.append(b"\x1b[?25hlast\n")
    prefix, offset = kept.snapshot()
    assert prefix == b"\x1b[?1049h\x1b[?25l"
    assert kept.read(offset - 1, 1) == b"\n"
    late, _ = kept.snapshot(keep=5)
    assert late == b"\x1b[?1049h\x1b[?25l" or late == b"\x1b[?1049h\x1b[?25h"


def test_a_young_session_is_shown_from_its_beginning():
    kept = Scrollback()
    kept.append(b"$ ls\r\n")
    assert kept.snapshot() == (b"", 0)


def test_a_repeated_part_is_accepted_once_and_a_gap_never():
    typed = Typed()
    typed.accept("a", typed.offer("a", 0, b"ls"))
    assert typed.offer("a", 0, b"ls") == b""
    assert typed.offer("a", 0, b"ls -l") == b" -l"
    assert typed.offer("a", 9, b"x") == b""
    assert typed.end == 2


def test_more_than_fits_waits_with_the_viewer():
    typed = Typed()
    assert len(typed.offer("a", 0, b"x" * (BUFFER + 5))) == BUFFER
    typed.accept("a", b"x" * BUFFER)
    assert typed.offer("a", BUFFER, b"x" * 5) == b""
    assert typed.received(10) == {"a": 10}
    assert typed.offer("a", BUFFER, b"x" * 5) == b"x" * 5


def test_each_viewer_learns_how_far_its_own_stream_arrived():
    typed = Typed()
    typed.accept("a", b"abc")
    typed.accept("b", b"de")
    assert typed.received(4) == {"a": 3, "b": 1}
    assert typed.received(5) == {"b": 2}
    with pytest.raises(ValueError, match="not sent"):
        typed.received(6)


@given(st.integers(0, 2**32))
def test_across_restarts_every_key_arrives_once(seed):
    """Two viewers, an agent and a server that is killed at any moment: the agent gets exactly what was typed."""
    dice = random.Random(seed)
    wanted = {viewer: bytes(dice.randrange(97, 123) for _ in range(30)) for viewer in "ab"}
    told = dict.fromkeys(wanted, 0)
    notes, typed, agent, origin, server = [], Typed(), b"", [], b""
    for _ in range(400):
        viewer = dice.choice("ab")
        move = dice.randrange(10)
        if move < 6:
            part = wanted[viewer][told[viewer] : told[viewer] + dice.randrange(1, 8)]
            new = typed.offer(viewer, told[viewer], part) if part else b""
            if new:
                notes.append((viewer, typed.taken(viewer) + len(new), typed.end + len(new)))
                typed.accept(viewer, new)
                server += new
                origin[typed.end - len(new) :] = [viewer] * len(new)
        elif move < 9 and typed.known:
            waiting = server[len(agent) :]
            agent += waiting[: dice.randrange(len(waiting) + 1)]
            if dice.random() < 0.7:
                told |= typed.received(len(agent))
        else:
            typed, server = Typed.restored(notes), agent
            told |= typed.received(len(agent))
            notes.append(("", 0, len(agent)))
            told = {name: typed.taken(name) for name in wanted}
    for viewer in "ab":  # let everything arrive
        rest = typed.offer(viewer, typed.taken(viewer), wanted[viewer][typed.taken(viewer) :])
        server += rest
        origin[typed.end :] = [viewer] * len(rest)
        typed.accept(viewer, rest)
    for viewer in "ab":
        assert bytes(key for key, who in zip(server, origin, strict=True) if who == viewer) == wanted[viewer]

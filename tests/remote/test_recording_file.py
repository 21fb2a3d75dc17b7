"""The recording's file: exact, chained, readable up to a cut, continued after a kill."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.recordings import cast
from remote.recordings.model import ChainError
from remote.recordings.recorder import Recorder, split_utf8


def lines(path):
    return iter(path.read_bytes().splitlines(keepends=True))


def output_of(path):
    return b"".join(chunk.output for chunk, _ in cast.read(lines(path)))


@pytest.fixture
def recorder(tmp_path):
    made = Recorder.create(tmp_path / "r" / "a.cast", columns=80, rows=24, title="Poste accueil")
    yield made
    made.close()


def test_it_is_asciicast_v3_for_any_player(recorder):
    recorder.output(b"bonjour\r\n")
    recorder.resize(120, 40)
    recorder.mark("step:net-001@2/s1")
    plain = [json.loads(line) for line in lines(recorder.path) if not line.startswith(b"#")]
    assert plain[0]["version"] == 3
    assert plain[0]["term"]["cols"] == 80
    assert [entry[1:] for entry in plain[1:]] == [["o", "bonjour\r\n"], ["r", "120x40"], ["m", "step:net-001@2/s1"]]
    assert all(entry[0] >= 0 for entry in plain[1:])


def test_only_the_server_reads_it(recorder):
    assert recorder.path.stat().st_mode & 0o777 == 0o600


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_every_byte_is_kept_whatever_it_is(tmp_path_factory, parts):
    recorder = Recorder.create(tmp_path_factory.mktemp("r") / "a.cast", columns=80, rows=24, title="")
    for part in parts:
        recorder.output(part)
    recorder.close()
    whole = b"".join(parts)
    assert output_of(recorder.path) == whole[: recorder.offset]
    assert 0 <= len(whole) - recorder.offset <= 3
    assert recorder.received == len(whole)


def test_a_character_cut_in_two_is_recorded_once_whole(recorder):
    recorder.output("é".encode()[:1])
    assert recorder.offset == 0
    recorder.output("é".encode()[1:] + b"t")
    assert output_of(recorder.path) == "ét".encode()


@pytest.mark.parametrize(
    ("data", "rest"),
    [
        (b"a", b""),
        (b"\xc3", b"\xc3"),
        (b"\xe2\x82", b"\xe2\x82"),
        (b"\xf0\x9f\x98", b"\xf0\x9f\x98"),
        (b"\x80\x80", b""),
        (b"", b""),
    ],
)
def test_only_an_unfinished_character_waits(data, rest):
    assert split_utf8(b"x" + data)[1] == rest


def test_cut_anywhere_it_is_readable_up_to_there_and_continued(recorder, tmp_path):
    for word in ("un ", "deux ", "trois "):
        recorder.output(word.encode())
    recorder.note_input("v1", 5, 5)
    recorder.close()
    whole = recorder.path.read_bytes()
    head = whole.index(b"\n") + 1
    for cut in range(head, len(whole) + 1, 7):
        copy = tmp_path / f"{cut}.cast"
        copy.write_bytes(whole[:cut])
        again, restored = Recorder.reopen(copy, keep=1024)
        assert b"un deux trois ".startswith(restored.tail)
        assert restored.offset == len(restored.tail)
        again.output(b"SUITE")
        again.close()
        assert output_of(copy) == restored.tail + b"SUITE"
        assert cast.verify(lines(copy), chunks=again.chunks, head=again.head).sound


def test_what_was_accepted_from_each_viewer_is_known_after_a_restart(recorder):
    recorder.note_input("alice", 3, 3)
    recorder.note_input("bruno", 2, 5)
    recorder.note_input("alice", 7, 9)
    recorder.close()
    _, restored = Recorder.reopen(recorder.path, keep=0)
    assert restored.notes == (("alice", 3, 3), ("bruno", 2, 5), ("alice", 7, 9))


@pytest.mark.parametrize("victim", [1, 2, 3, 4])
def test_a_changed_line_breaks_the_chain(recorder, victim):
    recorder.output(b"rm -rf /tmp/a\r\n")
    recorder.output(b"fini\r\n")
    rows = list(lines(recorder.path))
    rows[victim] = rows[victim].replace(b"i", b"o", 1).replace(b"o", b"0", 1)
    with pytest.raises(ChainError):
        list(cast.read(iter(rows)))


def test_the_anchor_outside_the_file_sees_what_was_cut_or_rewritten(recorder, tmp_path):
    for word in (b"a", b"b", b"c"):
        recorder.output(word)
    rows = list(lines(recorder.path))
    assert cast.verify(iter(rows), chunks=3, head=recorder.head).sound
    assert "missing" in cast.verify(iter(rows[:-2]), chunks=3, head=recorder.head).problem
    forged = Recorder.create(tmp_path / "forged.cast", columns=80, rows=24, title="")
    for word in (b"a", b"b", b"X"):
        forged.output(word)
    assert "not the one" in cast.verify(lines(forged.path), chunks=3, head=recorder.head).problem


def test_markers_have_their_time(recorder):
    recorder._clock = lambda: recorder._started + 2.5
    recorder.mark("step:a@1/s1")
    recorder._clock = lambda: recorder._started + 4.0
    recorder.mark("step:a@1/s2")
    assert [(m.seconds, m.label) for m in cast.markers(lines(recorder.path))] == [
        (2.5, "step:a@1/s1"),
        (4.0, "step:a@1/s2"),
    ]


def test_a_full_disk_is_said_and_leaves_a_whole_file(recorder, monkeypatch):
    recorder.output(b"avant")
    real = __import__("os").write
    monkeypatch.setattr("remote.recordings.recorder.os.write", lambda handle, data: real(handle, data[:10]))
    with pytest.raises(OSError, match="full"):
        recorder.output(b"perdu")
    monkeypatch.undo()
    assert recorder.offset == 5
    recorder.output(b" apres")
    assert output_of(recorder.path) == b"avant apres"
    assert cast.verify(lines(recorder.path), chunks=recorder.chunks, head=recorder.head).sound

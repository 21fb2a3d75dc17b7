"""Finished recordings are compressed; whatever fails in the middle, one good copy is left."""

import gzip
import json

import pytest

from remote.recordings import cast, export, files
from remote.recordings.model import ChainError, Held, Marker, keyboard
from remote.recordings.recorder import Recorder


@pytest.fixture
def recorded(tmp_path):
    """A finished recording, on the disk, and its recorder (chunks and head)."""
    recorder = Recorder.create(tmp_path / "ab" / f"{'ab' * 16}.cast", columns=80, rows=24, title="Accueil (7)")
    for number in range(200):
        recorder.output(f"ligne {number} é\r\n".encode())
    recorder.output(b"\xff brut")
    recorder.resize(100, 30)
    recorder.mark("step:imp-001@1/s1")
    recorder.exit(0)
    recorder.close()
    return recorder


def verified(recorder, path):
    with files.opened(path) as file:
        return cast.verify(iter(file), chunks=recorder.chunks, head=recorder.head)


def test_the_compressed_copy_is_smaller_private_and_its_chain_holds(recorded):
    packed = files.compress(recorded.path)
    assert packed.name == recorded.path.name + ".gz"
    assert packed.stat().st_size < recorded.path.stat().st_size / 2
    assert packed.stat().st_mode & 0o777 == 0o600
    assert verified(recorded, packed).sound
    assert files.fingerprint(packed) == files.fingerprint(recorded.path)


def test_a_changed_byte_of_the_compressed_file_is_found(recorded):
    packed = files.compress(recorded.path)
    content = bytearray(gzip.decompress(packed.read_bytes()))
    content[content.index(b"ligne 7")] = ord("L")
    packed.write_bytes(gzip.compress(bytes(content)))
    assert "chain is broken" in verified(recorded, packed).problem


@pytest.mark.parametrize("cut", [1, 12, 300])
def test_a_cut_compressed_file_is_an_error_that_says_so(recorded, cut):
    packed = files.compress(recorded.path)
    packed.write_bytes(packed.read_bytes()[:-cut])
    with pytest.raises(OSError, match=r"damaged|end-of-stream|gzip"), files.opened(packed) as file:
        file.read()


@pytest.mark.parametrize("where", ["_write_packed", "_same"])
def test_a_failure_in_the_middle_leaves_the_plain_file_alone(recorded, monkeypatch, where):
    before = recorded.path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, where, fail)
    with pytest.raises(OSError, match="No space"):
        files.compress(recorded.path)
    assert recorded.path.read_bytes() == before
    assert files.copies(recorded.path) == [recorded.path]


def test_a_copy_that_differs_is_not_kept(recorded, monkeypatch):
    real = files._write_packed

    def flip(path, part):
        real(path, part)
        part.write_bytes(gzip.compress(b"autre chose"))

    monkeypatch.setattr(files, "_write_packed", flip)
    with pytest.raises(OSError, match="not the same"):
        files.compress(recorded.path)
    assert files.copies(recorded.path) == [recorded.path]


def test_half_a_copy_of_an_earlier_kill_is_written_over(recorded):
    part = recorded.path.with_name(recorded.path.name + ".gz.part")
    part.write_bytes(b"half")
    assert verified(recorded, files.compress(recorded.path)).sound
    assert not part.exists()


def test_a_name_that_was_looked_up_before_the_compression_still_leads_there(recorded):
    files.compress(recorded.path)
    recorded.path.unlink()
    assert verified(recorded, recorded.path).sound


def test_erasing_takes_every_copy_and_nothing_of_the_neighbour(recorded):
    neighbour = recorded.path.with_name("ac" * 16 + ".cast")
    neighbour.write_bytes(b"mine")
    files.compress(recorded.path)
    beside = recorded.path.with_name("ab" * 16 + ".tiles")
    beside.write_bytes(b"picture")
    assert files.erase(recorded.path) == 3
    assert files.copies(recorded.path) == []
    assert files.erase(recorded.path) == 0
    assert neighbour.exists()


def exported(path):
    with files.opened(path) as file:
        return [json.loads(line) for line in export.v2(iter(file))]


def test_v2_has_its_header_and_times_that_only_grow(recorded):
    header, *events = exported(files.compress(recorded.path))
    assert {name: header[name] for name in ("version", "width", "height", "title")} == {
        "version": 2, "width": 80, "height": 24, "title": "Accueil (7)",
    }  # fmt: skip
    assert isinstance(header["timestamp"], int)
    times = [event[0] for event in events]
    assert times == sorted(times)
    assert times[0] >= 0
    assert all(len(event) == 3 and isinstance(event[2], str) for event in events)
    assert {event[1] for event in events} == {"o", "r", "m"}, "no exit event in v2, and nothing of the chain"
    assert "".join(event[2] for event in events if event[1] == "o").count("ligne") == 200
    assert ["r", "100x30"] in [event[1:] for event in events]


def test_v2_counts_from_the_start_where_v3_counts_from_the_event_before(tmp_path):
    recorder = Recorder.create(tmp_path / "a.cast", columns=80, rows=24, title="")
    for second in (1.5, 4.0):
        recorder._clock = lambda second=second: recorder._started + second
        recorder.output(b"x")
    recorder.close()
    assert [event[0] for event in exported(recorder.path)[1:]] == [1.5, 4.0]


def test_v2_of_something_else_is_refused(tmp_path):
    other = tmp_path / "a.cast"
    other.write_bytes(b'{"version": 2}\n')
    with pytest.raises(ChainError):
        exported(other)


def test_who_had_the_keyboard_when():
    marks = [Marker(seconds=3.0, label="step:a@1/s1"), Marker(seconds=5.0, label="keyboard: Bruno Leroy")]
    assert keyboard(marks, first="Alice", seconds=9.0) == [
        Held(name="Alice", since=0.0, until=5.0), Held(name="Bruno Leroy", since=5.0, until=9.0),
    ]  # fmt: skip
    assert keyboard([], first="Alice", seconds=0.0) == []
    at_once = [Marker(seconds=0.0, label="keyboard: Bruno")]
    assert [held.name for held in keyboard(at_once, first="Alice", seconds=2.0)] == ["Bruno"]

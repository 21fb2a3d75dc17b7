"""What a session for files reaches on a real file system, while somebody tries to lead it elsewhere."""

from __future__ import annotations

import os
import socket
import stat
import threading
from contextlib import suppress

import pytest

from compagnon_agent.policy import PolicyError, parse
from compagnon_agent.sessions.capability import CallError
from compagnon_agent.sessions.files.folder import Folder, open_folder
from compagnon_agent.sessions.files.listing import Order, chosen, look_into, page
from compagnon_agent.sessions.files.names import split
from compagnon_agent.sessions.files.reach import reach_here
from compagnon_agent.sessions.files.removing import remove

SECRET = b"nobody's business"


@pytest.fixture
def place(tmp_path):
    """`root` is opened; `state` (the agent's own) lies in it, `outside` beside it."""
    for name in ("root", "root/state", "outside"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside" / "secret").write_bytes(SECRET)
    (tmp_path / "root" / "state" / "key.pem").write_bytes(SECRET)
    (tmp_path / "root" / "state" / "policy.toml").write_text(f'[files]\nroots = ["{tmp_path / "root"}"]\n')
    return tmp_path


@pytest.fixture
def reach(place):
    return reach_here(place / "root" / "state")


def read(reach, path) -> bytes:
    parts = split(str(path))
    with open_folder(parts[:-1], reach) as folder, os.fdopen(folder.open_file(parts[-1]), "rb") as file:
        return file.read()


def refused(reach, path) -> str:
    with pytest.raises((CallError, OSError)) as caught:
        read(reach, path)
    return getattr(caught.value, "code", type(caught.value).__name__)


def test_a_plain_file_is_read(place, reach):
    (place / "root" / "a").mkdir()
    (place / "root" / "a" / "x").write_bytes(b"content")
    assert read(reach, place / "root" / "a" / "x") == b"content"


def test_links_lead_nowhere(place, reach):
    root = place / "root"
    (root / "file").symlink_to(place / "outside" / "secret")
    (root / "folder").symlink_to(place / "outside")
    (root / "inside").symlink_to(root / "state")
    assert refused(reach, root / "file") == "link"
    assert refused(reach, root / "folder" / "secret") == "NotADirectoryError"
    assert refused(reach, root / "inside" / "key.pem") == "NotADirectoryError"


def test_outside_is_outside(place, reach):
    assert refused(reach, place / "outside" / "secret") == "outside"
    assert refused(reach, "/etc/passwd") == "outside"
    assert refused(reach, "/proc/self/environ") == "outside"


def test_the_agents_own_folder_is_closed_by_whatever_name(place, reach):
    root = place / "root"
    assert refused(reach, root / "state" / "key.pem") == "outside"
    os.link(root / "state" / "key.pem", root / "innocent")
    assert refused(reach, root / "innocent") == "outside"
    (root / "state").rename(root / "moved")  # by somebody at the machine, since the reach was made
    assert refused(reach, root / "moved" / "key.pem") == "outside"


def test_keys_are_closed_wherever_they_are(place, reach):
    for name in (".ssh", ".SSH", ".gnupg"):
        (place / "root" / name).mkdir()
        (place / "root" / name / "id").write_bytes(SECRET)
        assert refused(reach, place / "root" / name / "id") == "outside"


def test_what_is_no_file_is_not_opened(place, reach):
    root = place / "root"
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
    assert refused(reach, root / "pipe") == "special"
    assert refused(reach, root / "socket") == "special"
    assert refused(reach, root) == "outside"


def test_devices_are_not_opened(place, reach):
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    with suppress(PermissionError):
        os.mknod(place / "root" / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        assert refused(reach, place / "root" / "null") == "special"


def test_a_folder_swapped_for_a_link_while_it_is_opened_gives_nothing_away(place, reach):
    """Somebody at the machine swaps a folder for a link to another, as fast as it goes."""
    root = place / "root"
    (root / "a").mkdir()
    (root / "a" / "secret").write_bytes(b"harmless")
    (root / "link").symlink_to(place / "outside")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (root / "a").rename(root / "aside")
            (root / "link").rename(root / "a")
            (root / "a").rename(root / "link")
            (root / "aside").rename(root / "a")

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = set()
    try:
        for _ in range(3000):
            with suppress(CallError, OSError):
                seen.add(read(reach, root / "a" / "secret"))
    finally:
        over.set()
        swapping.join()
    assert seen == {b"harmless"}


@pytest.mark.parametrize("other", ["link", "another", "fifo"])
def test_a_file_swapped_between_the_look_and_the_open_gives_nothing_away(place, reach, monkeypatch, other):
    root = place / "root"
    (root / "x").write_bytes(b"harmless")
    (root / "link").symlink_to(place / "outside" / "secret")
    (root / "another").write_bytes(SECRET)
    os.mkfifo(root / "fifo")
    looked = Folder.look

    def look_then_swap(folder, name):
        found = looked(folder, name)
        (root / other).rename(root / "x")
        return found

    monkeypatch.setattr(Folder, "look", look_then_swap)
    assert refused(reach, root / "x") in ("OSError", "changed")


def test_a_folder_of_a_hundred_thousand_files_is_told_in_pages(place, reach):
    root = place / "root" / "many"
    root.mkdir()
    for number in range(100_000):
        os.close(os.open(root / f"f{number:06}", os.O_CREAT | os.O_WRONLY))
    seen = look_into(split(str(root)), reach)
    found = chosen(seen.entries, order=Order.NAME, down=False, wanted="", hidden=False)
    assert len(found) == 100_000
    told = page(seen, found, 99_900, 200, reach)
    assert [item["name"] for item in told] == [f"f{number:06}" for number in range(99_900, 100_000)]
    assert len(chosen(seen.entries, order=Order.NAME, down=False, wanted="F00001", hidden=False)) == 10


def test_entries_are_told_as_what_they_are(place, reach):
    root = place / "root"
    (root / "state-link").symlink_to(root / "state")
    (root / "b").mkdir()
    (root / "to-b").symlink_to("b")
    os.close(os.open(os.fsencode(root) + b"/caf\xe9", os.O_CREAT | os.O_WRONLY))
    seen = look_into(split(str(root)), reach)
    told = {item["name"]: item for item in page(seen, seen.entries, 0, 50, reach)}
    assert told["caf\ufffd"]["key"] == "caf%E9"
    assert told["state-link"] | {"modified": 0} == {
        "name": "state-link", "key": "state-link", "kind": "link", "size": 0, "modified": 0, "target": "", "leads": "",
    }  # fmt: skip
    assert told["to-b"]["leads"] == "folder"
    assert told["b"]["kind"] == "folder"


def test_a_folder_goes_whole_and_links_in_it_lead_nowhere(place, reach):
    root = place / "root"
    (root / "old" / "deep").mkdir(parents=True)
    (root / "old" / "deep" / "x").write_bytes(b"x")
    (root / "old" / "away").symlink_to(place / "outside")
    with pytest.raises(OSError, match="not empty"):
        remove(split(str(root / "old")), reach, False)
    assert remove(split(str(root / "old")), reach, True) == 4
    assert not (root / "old").exists()
    assert (place / "outside" / "secret").read_bytes() == SECRET


def test_nothing_is_deleted_where_something_closed_lies_below(place, reach):
    root = place / "root"
    (root / "home" / ".ssh").mkdir(parents=True)
    (root / "home" / "a").write_bytes(b"a")
    for folder in (root / "home", root / "state", root):
        with pytest.raises(CallError):
            remove(split(str(folder)), reach, True)
    assert (root / "home" / "a").exists()
    assert (root / "state" / "key.pem").exists()


def test_a_rename_never_takes_the_place_of_something(place, reach):
    root = place / "root"
    (root / "a").write_bytes(b"a")
    (root / "b").write_bytes(b"b")
    (root / "c").mkdir()
    with open_folder(split(str(root)), reach) as folder:
        for old, new in (("a", "b"), ("a", "c"), ("c", "a")):
            with pytest.raises(FileExistsError):
                folder.rename(old, new)
        folder.rename("a", "z")
        folder.rename("c", "y")
    assert (root / "z").read_bytes() == b"a"
    assert (root / "b").read_bytes() == b"b"
    assert (root / "y").is_dir()


@pytest.mark.parametrize(
    "table", ['roots = "x"', 'roots = ["relative"]', "roots = [1]", 'other = ["/x"]', 'refuse = ["a\\u0000b"]']
)
def test_a_policy_that_is_none(table):
    with pytest.raises(PolicyError):
        parse(f"[files]\n{table}\n")


def test_a_broken_policy_opens_nothing(place):
    (place / "root" / "state" / "policy.toml").write_text("[files")
    with pytest.raises(CallError):
        reach_here(place / "root" / "state")

"""Paths as the server says them: what is plainly one path of this machine, and nothing else, gets through."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compagnon_agent.sessions.capability import CallError
from compagnon_agent.sessions.files.names import (
    Flavour,
    begins,
    check_name,
    check_new_name,
    key_of,
    parts_of,
    path_of,
    same,
    shown,
    split,
)
from compagnon_agent.sessions.files.windows import require_final

WINDOWS, POSIX = Flavour.WINDOWS, Flavour.POSIX
hostile = st.lists(
    st.sampled_from(
        ["..", ".", "/", "\\", "%", "%2e", "%2f", "%00", "%5c", "\0", ":", "C:", "NUL", "a", "é", " ", "\udce9"]
    )
).map("".join)


@given(hostile | st.text(max_size=300))
def test_whatever_is_said_comes_apart_into_plain_names_or_is_refused(text):
    try:
        parts = parts_of("/" + text, POSIX)
    except CallError:
        return
    assert all(name not in ("", ".", "..") and "/" not in name and "\0" not in name for name in parts)
    assert os.path.normpath(path_of(parts, POSIX)) == path_of(parts, POSIX)
    assert parts_of(key_of(parts), POSIX) == parts


@given(hostile | st.text(max_size=300))
def test_on_windows_too(text):
    try:
        parts = parts_of("/C:/" + text, WINDOWS)
    except CallError:
        return
    assert parts[0] == "C:"
    for name in parts[1:]:
        assert not set(name) & set('<>:"/\\|?*\0')
        assert name[-1] not in ". "


@given(
    st.lists(st.binary(min_size=1, max_size=40).filter(lambda raw: not {0, 47} & set(raw) and raw not in (b".", b"..")))
)
def test_names_of_any_bytes_survive(raw):
    parts = tuple(os.fsdecode(name) for name in raw)
    key = key_of(parts)
    assert key.isascii()
    assert parts_of(key, POSIX) == parts
    shown(path_of(parts, POSIX)).encode()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a",
        "//",
        "/a//b",
        "/a/",
        "/..",
        "/a/../b",
        "/a/%2e%2e/b",
        "/a%2fb",
        "/a%00",
        "/é",
        "/" + "a/" * 200,
        "/" + "a" * 256,
    ],
)
def test_no_paths(key):
    with pytest.raises(CallError):
        parts_of(key, POSIX)


@pytest.mark.parametrize("key", ["/", "//server/share/x", "/c", "/CC:/x", "/C:x", "/C:/a:stream", "/%5C%5Cserver/x"])
def test_no_paths_of_windows(key):
    with pytest.raises(CallError):
        parts_of(key, WINDOWS)


@pytest.mark.parametrize(
    "name",
    [
        "CON",
        "con.txt",
        "NUL .txt",
        "com1",
        "LPT9.a.b",
        "COM¹",
        "CONIN$",
        "a.",
        "a ",
        "a:b",
        "a\x1f",
        "a?",
        "a|b",
        "..",
        "x" * 256,
    ],
)
def test_names_that_windows_would_take_for_something_else(name):
    with pytest.raises(CallError):
        check_name(name, WINDOWS)


@pytest.mark.parametrize("name", ["conf", "COM10", "nul1.txt", "console.log", "été.txt", ".profile", "a.b"])
def test_names_that_are_plain(name):
    check_name(name, WINDOWS)
    check_new_name(name, WINDOWS)


@pytest.mark.parametrize("name", ["a\nb", "a\x7f", "facture\u202egpj.exe", " a", "a ", "\u2028", "a\udce9"])
def test_new_names_hide_nothing(name):
    check_name(name, POSIX)  # it may exist,
    with pytest.raises(CallError):  # but nobody gives it
        check_new_name(name, POSIX)


def test_what_is_shown_has_no_signs_that_hide():
    assert shown("caf\udce9\u202e\n") == "caf\ufffd\ufffd\ufffd"


def test_one_name_in_other_letters_is_the_same():
    assert same(".SSH", ".ssh")
    assert same(".ssh.", ".ssh")
    assert same(".ſsh", ".ssh")
    assert not same("ssh", ".ssh")


def test_what_lies_below():
    assert begins(("home", "anna", "x"), ("home", "anna"))
    assert not begins(("home", "annabelle"), ("home", "anna"), POSIX)
    assert not begins(("HOME", "anna"), ("home",), POSIX)
    assert begins(("c:", "USERS", "x"), ("C:", "Users"), WINDOWS)


def test_paths_of_windows():
    assert path_of(("C:", "Users"), WINDOWS) == "C:\\Users"
    assert split("C:\\Users\\Anna", WINDOWS) == ("C:", "Users", "Anna")
    assert key_of(("C:", "Users", "é")) == "/C%3A/Users/%C3%A9"
    assert parts_of("/C%3A/Users", WINDOWS) == ("C:", "Users")


@pytest.mark.parametrize("final", ["\\\\?\\C:\\Users\\anna\\x.txt", "C:\\users\\ANNA\\X.TXT"])
def test_the_file_that_was_asked_for(final):
    require_final(("C:", "Users", "Anna", "x.txt"), final)


@pytest.mark.parametrize(
    "final",
    [
        "\\\\?\\C:\\Windows\\x.txt",
        "\\\\?\\UNC\\server\\share\\x.txt",
        "\\\\?\\C:\\Users\\Anna\\y.txt",
        "D:\\Users\\Anna\\x.txt",
    ],
)
def test_a_junction_on_the_way_is_seen_when_the_file_is_open(final):
    with pytest.raises(CallError):
        require_final(("C:", "Users", "Anna", "x.txt"), final)

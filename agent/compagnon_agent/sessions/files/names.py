"""Paths as they are said on the wire, and which names are refused. Pure: no file is touched here.

A *key* is the bytes of an absolute path, percent-encoded (RFC 3986 §2.1) with ``/`` between the names:
``/home/anna/caf%C3%A9``; on Windows ``/C:/Users/anna``. So a name that is no UTF-8 is shown, and reached.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import quote_from_bytes, unquote_to_bytes

from ..capability import CallError

Parts: TypeAlias = tuple[str, ...]

NAME_BYTES = 255
"""Of one name, on every usual file system (Windows counts UTF-16 units: never more of them than bytes)."""

PATH_BYTES = 4095
"""PATH_MAX of Linux, without the NUL."""

DEPTH = 128
KEY_LENGTH = 3 * PATH_BYTES + 1

_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"]
    + [f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"]
)
"""Reserved by Windows with any extension ("Naming Files, Paths, and Namespaces")."""

_WINDOWS_SIGNS = frozenset('<>:"/\\|?*')
_HIDING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the direction of text, so that ``gpj.exe`` reads as ``exe.jpg``."""


class Flavour(StrEnum):
    POSIX = "posix"
    WINDOWS = "windows"


HERE = Flavour.WINDOWS if os.name == "nt" else Flavour.POSIX


def refused(why: str) -> CallError:
    return CallError("name", why)


def parts_of(key: str, flavour: Flavour = HERE) -> Parts:
    """The names of an absolute path, from the top; on Windows the first is the drive (``C:``).

    Raises :class:`CallError` (``name``) for whatever is not plainly one absolute path of this machine.
    """
    if not key.startswith("/") or len(key) > KEY_LENGTH or not key.isascii():
        raise refused("this is not an absolute path")
    encoded = key[1:].split("/") if key != "/" else []
    if len(encoded) > DEPTH:
        raise refused("this path has too many folders")
    parts = tuple(_decoded(item) for item in encoded)
    if flavour is Flavour.WINDOWS:
        _require_drive(parts)
    for name in parts[1:] if flavour is Flavour.WINDOWS else parts:
        check_name(name, flavour)
    if sum(len(os.fsencode(name)) + 1 for name in parts) > PATH_BYTES:
        raise refused("this path is too long")
    return parts


def _decoded(item: str) -> str:
    raw = unquote_to_bytes(item)
    if b"/" in raw or b"\0" in raw:
        raise refused("a name must not contain / or NUL")
    return os.fsdecode(raw)


def _require_drive(parts: Parts) -> None:
    if not parts or not _DRIVE.fullmatch(parts[0]):
        raise refused("a path of Windows begins with its drive")


def key_of(parts: Sequence[str]) -> str:
    """The inverse of :func:`parts_of`."""
    return "/" + "/".join(quote_from_bytes(os.fsencode(name), safe="") for name in parts)


def check_name(name: str, flavour: Flavour = HERE) -> None:
    """Whether ``name`` may stand in a path at all. Raises :class:`CallError` (``name``)."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise refused("a name must not be empty, a dot or two dots, nor contain / or NUL")
    if len(os.fsencode(name)) > NAME_BYTES:
        raise refused("this name is too long")
    if flavour is Flavour.WINDOWS:
        _check_windows(name)


def _check_windows(name: str) -> None:
    if any(sign in _WINDOWS_SIGNS or ord(sign) < 32 for sign in name):
        raise refused('a name on Windows must not contain < > : " / \\ | ? * nor signs that do not show')
    if name[-1] in ". ":
        raise refused("a name on Windows must not end in a dot or a space")
    if name.split(".")[0].rstrip(" ").upper() in _DEVICES:
        raise refused("Windows reserves this name for a device")


def check_new_name(name: str, flavour: Flavour = HERE) -> None:
    """Whether something may be given this name: nothing in it may hide what it is. Raises :class:`CallError`."""
    check_name(name, flavour)
    if any(_hides(sign) for sign in name):
        raise refused("a new name must not contain signs that do not show")
    if name != name.strip():
        raise refused("a new name must not begin or end with a space")


def _hides(sign: str) -> bool:
    return sign in _HIDING or unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp")


def shown(text: str) -> str:
    """``text`` for people: bytes that are no UTF-8, and signs that do not show, become U+FFFD."""
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join("\ufffd" if _hides(sign) else sign for sign in readable)


def path_of(parts: Sequence[str], flavour: Flavour = HERE) -> str:
    """As this machine writes it."""
    if flavour is Flavour.WINDOWS:
        return "\\".join(parts) if len(parts) > 1 else f"{parts[0]}\\"
    return "/" + "/".join(parts)


def split(path: str, flavour: Flavour = HERE) -> Parts:
    """The names of a path as this machine writes it (absolute, normal)."""
    separated = path.replace("\\", "/") if flavour is Flavour.WINDOWS else path
    return tuple(name for name in separated.split("/") if name)


def same(name: str, other: str) -> bool:
    """Whether a file system might take the two for one name (case, Unicode form): to refuse rather too much."""
    return _folded(name) == _folded(other)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).rstrip(". ")


def begins(parts: Parts, start: Parts, flavour: Flavour = HERE) -> bool:
    """Whether ``start`` is ``parts`` or a folder above it; Windows does not tell small from capital letters."""
    if len(parts) < len(start):
        return False
    pairs = zip(parts, start, strict=False)
    return all(name.lower() == other.lower() if flavour is Flavour.WINDOWS else name == other for name, other in pairs)

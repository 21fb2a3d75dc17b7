"""``file``: what is at a path. Symbolic links are followed, except for ``filetype`` and ``linked-to`` (as in goss)."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from ..protocol.wire import JSON
from .common import Observed, Question, Trouble

CONTENT_LIMIT = 1024 * 1024
_HASHES = ("md5", "sha256", "sha512")
_TYPES = (
    (stat.S_ISLNK, "symlink"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISREG, "file"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISBLK, "block-device"),
    (stat.S_ISCHR, "character-device"),
)


def observe(question: Question) -> Observed:
    path = Path(question.key).expanduser()
    try:
        link = path.lstat()
    except FileNotFoundError:
        return {"exists": False, **{name: None for name in question.wanted if name != "exists"}}
    except OSError as fault:
        raise Trouble(f"{path}: {fault.strerror}") from None
    observed: Observed = {"exists": True, "filetype": _type(link.st_mode)}
    if "linked-to" in question.wanted:
        observed["linked-to"] = os.readlink(path) if stat.S_ISLNK(link.st_mode) else None  # noqa: PTH115 - as written
    observed.update(_status(path, link))
    observed.update(_content(path, question.wanted))
    return {name: observed[name] for name in question.wanted}


def _type(mode: int) -> str:
    return next((name for test, name in _TYPES if test(mode)), "other")


def _status(path: Path, link: os.stat_result) -> Observed:
    try:
        status = path.stat()
    except OSError:
        status = link  # a dangling link
    return {
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "size": status.st_size,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "owner": _name("pwd", status.st_uid),
        "group": _name("grp", status.st_gid),
    }


def _name(database: str, number: int) -> str:
    try:
        if database == "pwd":
            import pwd

            return pwd.getpwuid(number).pw_name
        import grp

        return grp.getgrgid(number).gr_name
    except (ImportError, KeyError):
        return str(number)


def _content(path: Path, wanted: frozenset[str]) -> Observed:
    observed: Observed = {}
    if not wanted.intersection({"contents", "contains", *_HASHES}):
        return observed
    if not path.is_file():  # a pipe or device could block, or never end
        return dict.fromkeys(("contents", "contains", *_HASHES))
    try:
        if wanted & {"contents", "contains"}:
            observed["contents"] = observed["contains"] = _lines(path)
        for name in _HASHES:
            if name in wanted:
                with path.open("rb") as file:
                    observed[name] = hashlib.file_digest(file, name).hexdigest()
    except OSError as fault:
        raise Trouble(f"{path}: {fault.strerror}") from None
    return observed


def _lines(path: Path) -> list[JSON]:
    with path.open("rb") as file:
        return list(file.read(CONTENT_LIMIT).decode("utf-8", "replace").splitlines())

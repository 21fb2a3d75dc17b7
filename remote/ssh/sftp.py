"""A device's files over SFTP (protocol version 3, as OpenSSH has it). Everything here blocks: call it in a thread.

A path is followed through no link: where one is on the way, ``link`` is the answer, as with the agent's files. What is
between the look and the deed is the device's: the account that signs in decides what may be reached.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

import paramiko

from compagnon_agent.protocol.wire import JSON
from remote.ssh.calls import Fault
from remote.ssh.running import run

PIECE = 256 * 1024
MOST = 50_000  # entries of one folder
DEPTH = 128
KEY_LENGTH = 12_000
SUM_SECONDS = 600.0
NAMES = {errno.ENOENT: ("not_found", "it is not there"), errno.EACCES: ("denied", "the account may not do this")}


@contextmanager
def told() -> Iterator[None]:
    """The device's errors as a Fault. Raises Fault."""
    try:
        yield
    except UnicodeError:
        raise Fault("name", "a name here is no UTF-8") from None
    except (paramiko.SSHException, EOFError):
        raise Fault("failed", "the connection to the device broke") from None
    except OSError as error:
        code, text = NAMES.get(error.errno or 0, ("failed", "the device refused it"))
        raise Fault(code, text) from None


def path_of(key: str) -> str:
    """The absolute path that a key names (percent-encoded, ``/`` between the names). Raises Fault(name)."""
    if not key.startswith("/") or len(key) > KEY_LENGTH or not key.isascii():
        raise Fault("name", "this is not an absolute path")
    names = [_name(item) for item in key[1:].split("/")] if key != "/" else []
    if len(names) > DEPTH:
        raise Fault("name", "this path has too many folders")
    return "/" + "/".join(names)


def _name(item: str) -> str:
    try:
        return checked(unquote_to_bytes(item).decode())
    except UnicodeError:
        raise Fault("name", "a name must be UTF-8") from None


def checked(name: str) -> str:
    """A name that may stand in a path. Raises Fault(name)."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name or len(name.encode("utf-8", "replace")) > 255:
        raise Fault("name", "a name must not be empty, a dot or two dots, nor contain / or NUL")
    return name


def new_name(name: str) -> str:
    """A name that something may be given: nothing in it hides what it is. Raises Fault(name)."""
    if not checked(name).isprintable() or name != name.strip():
        raise Fault("name", "a new name must not contain signs that do not show, nor begin or end with a space")
    return name


def key_of(path: str) -> str:
    return quote(path, safe="/")


def kind_of(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "special"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    name: str
    kind: str
    size: int
    modified: int


class Remote:
    """One SFTP channel of a signed-in connection."""

    def __init__(self, client: paramiko.SSHClient) -> None:
        self.client = client
        with told():
            self.sftp = client.open_sftp()
            self.home = self.sftp.normalize(".")

    def close(self) -> None:
        with suppress(Exception):
            self.sftp.close()
        self.client.close()

    def require_plain(self, path: str) -> None:
        """Raises Fault(link) when a link is on the way to ``path``, itself included."""
        with told():
            if self.sftp.normalize(path) != path:
                raise Fault("link", "a link is on the way")

    def above(self, path: str) -> str:
        """The folder that ``path`` is in, reached through no link."""
        folder = posixpath.dirname(path)
        self.require_plain(folder)
        return folder

    def look(self, path: str) -> paramiko.SFTPAttributes | None:
        """None when nothing is there."""
        try:
            with told():
                return self.sftp.lstat(path)
        except Fault as fault:
            if fault.code == "not_found":
                return None
            raise

    def entries(self, path: str) -> tuple[list[Found], int]:
        """What is in a folder, and how many more there are than are told."""
        self.require_plain(path)
        with told():
            listed = self.sftp.listdir_attr(path)
        found = [_found(item) for item in listed[:MOST] if item.filename not in {".", ".."}]
        return found, max(0, len(listed) - MOST)

    def target(self, folder: str, name: str) -> dict[str, JSON]:
        """Where a link leads."""
        try:
            with told():
                there = self.sftp.normalize(f"{folder.rstrip('/')}/{name}")
                kind = kind_of(self.sftp.stat(there).st_mode or 0)
        except Fault:
            return {"target": "", "leads": ""}
        return {"target": key_of(there), "leads": kind, "to": there[:500]}

    def make(self, path: str) -> None:
        self.above(path)
        if self.look(path) is not None:
            raise Fault("exists", "there is something of this name already")
        with told():
            self.sftp.mkdir(path)

    def rename(self, path: str, name: str) -> None:
        there = f"{self.above(path).rstrip('/')}/{name}"
        if self.look(there) is not None:
            raise Fault("exists", "there is something of this name already")
        with told():
            self.sftp.rename(path, there)

    def remove(self, path: str, *, whole: bool) -> int:
        """How many things are gone. Links are removed, never followed."""
        self.above(path)
        found = self.look(path)
        if found is None:
            raise Fault("not_found", "it is not there")
        if kind_of(found.st_mode or 0) != "folder":
            with told():
                self.sftp.remove(path)
            return 1
        return self._remove_folder(path, whole=whole)

    def _remove_folder(self, path: str, *, whole: bool, depth: int = 0) -> int:
        with told():
            inside = self.sftp.listdir_attr(path)
        if inside and not whole:
            raise Fault("not_empty", "this folder is not empty")
        if depth > DEPTH:
            raise Fault("name", "too many folders in each other")
        count = 0
        for item in inside:
            child = f"{path.rstrip('/')}/{checked(item.filename)}"
            if kind_of(item.st_mode or 0) == "folder":
                count += self._remove_folder(child, whole=True, depth=depth + 1)
            else:
                with told():
                    self.sftp.remove(child)
                count += 1
        with told():
            self.sftp.rmdir(path)
        return count + 1

    def sha256(self, path: str) -> str:
        """Of the file as it is on the device: by its own ``sha256sum`` where it has one, else read back."""
        with contextlib.suppress(Exception):
            ran = run(self.client, ["sha256sum", "--", path], timeout=SUM_SECONDS, limit=4096)
            found = ran.stdout.decode("ascii", "replace").lstrip("\\")[:64]
            if ran.exit_code == 0 and len(found) == 64 and all(sign in "0123456789abcdef" for sign in found):
                return found
        digest = hashlib.sha256()
        with told(), self.sftp.open(path, "rb") as file:
            file.prefetch()
            while data := file.read(PIECE):
                digest.update(data)
        return digest.hexdigest()

    def put_in_place(self, part: str, path: str, *, replaces: bool, modified: int) -> None:
        """At once, where the device knows how (``posix-rename@openssh.com``)."""
        present = self.look(path) if replaces else None
        with told():
            if present is not None and present.st_mode is not None:
                self.sftp.chmod(part, stat.S_IMODE(present.st_mode) & 0o777)
            if modified:
                self.sftp.utime(part, (modified, modified))
            if not replaces:
                self.sftp.rename(part, path)
                return
            try:
                self.sftp.posix_rename(part, path)
            except OSError:
                self.sftp.remove(path)
                self.sftp.rename(part, path)


def _found(item: paramiko.SFTPAttributes) -> Found:
    kind = kind_of(item.st_mode or 0)
    size = (item.st_size or 0) if kind == "file" else 0
    return Found(name=item.filename, kind=kind, size=size, modified=max(0, int(item.st_mtime or 0)))

"""The methods of a ``files`` session, as agents have them (``docs/reference/files.md``), over SFTP."""

from __future__ import annotations

import asyncio
import hashlib
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import paramiko

from compagnon_agent.protocol.channel import Channel, ChannelLost
from compagnon_agent.protocol.wire import JSON, WireError, integer, text
from remote.ssh.calls import Arguments, CallLink, Fault
from remote.ssh.connector import in_thread
from remote.ssh.sftp import KEY_LENGTH, PIECE, Found, Remote, key_of, kind_of, new_name, path_of, told

T = TypeVar("T")
PAGE_BYTES = 120 * 1024
WHOLE, FAILED, CHANGED = 0, 1, 2
OUTCOMES = {WHOLE: "whole", FAILED: "failed", CHANGED: "changed"}
LAST = 10.0  # seconds for the last acknowledgement
TOKEN = re.compile(r"[0-9a-f]{16,32}")
_COUNT = integer(0, 2**53)
_KEY = text(KEY_LENGTH)


@dataclass(slots=True, kw_only=True)
class Sending:
    """A file on its way out. ``sha256`` of the whole, once that was read to its end."""

    file: paramiko.SFTPFile
    path: str
    size: int
    version: str
    at: int
    start: int
    end: int
    digest: Any
    task: asyncio.Task[int] | None = None


class FileCalls:
    """``connect`` gives the device's files, when they are first asked for and after a broken connection."""

    def __init__(self, link: CallLink, connect: Callable[[], Any]) -> None:
        self._link = link
        self._connect = connect
        self._remote: Remote | None = None
        self._connecting = asyncio.Lock()
        self._sending: dict[int, Sending] = {}
        self._writing: set[str] = set()
        methods = {
            "list": self._list, "get": self._get, "zip": self._zip, "got": self._got, "make": self._make,
            "rename": self._rename, "delete": self._delete, "put_begin": self._put_begin, "put": self._put,
            "put_end": self._put_end, "put_drop": self._put_drop,
        }  # fmt: skip
        link.methods.update({f"files.{name}": method for name, method in methods.items()})

    async def close(self) -> None:
        for sending in self._sending.values():
            if sending.task:
                sending.task.cancel()
        if self._remote is not None:
            await in_thread(self._remote.close)

    async def _files(self) -> Remote:
        async with self._connecting:
            transport = self._remote.client.get_transport() if self._remote else None
            if self._remote is None or transport is None or not transport.is_active():
                self._remote = await self._connect()
            return self._remote

    # looking

    async def _list(self, arguments: Arguments) -> Arguments:
        files, key = await self._files(), _KEY.read(arguments.get("key"), "key")
        if not key:
            tops: list[JSON] = [_told(Found(name=path, kind="folder", size=0, modified=0), path) for path in
                                dict.fromkeys([files.home, "/"])]  # fmt: skip
            return {"entries": tops, "total": len(tops), "more": 0}
        path = path_of(key)
        entries, more = await in_thread(lambda: files.entries(path))
        chosen = _chosen(entries, arguments)
        start = _COUNT.read(arguments.get("start", 0), "start")
        limit = _COUNT.read(arguments.get("limit", 200), "limit")
        page = await in_thread(lambda: _page(files, path, chosen[start : start + limit]))
        root = files.home if (path + "/").startswith(files.home.rstrip("/") + "/") else "/"
        return {
            "entries": page, "total": len(chosen), "more": more, "path": path[:KEY_LENGTH], "root": key_of(root),
            "root_path": root,
        }  # fmt: skip

    # out

    async def _get(self, arguments: Arguments) -> Arguments:
        files, path = await self._files(), path_of(_KEY.read(arguments.get("key"), "key"))
        channel = self._link.channel(arguments.get("channel"))
        start, length = (_COUNT.read(arguments.get(name, 0), name) for name in ("start", "length"))
        sending, about = await in_thread(lambda: _opened(files, path, start, length))
        if arguments.get("version") and arguments["version"] != about["version"]:
            await in_thread(sending.file.close)
            raise Fault("changed", "the file has changed")
        if channel.number in self._sending:
            raise Fault("busy", "this channel is in use")
        self._sending[channel.number] = sending
        sending.task = asyncio.create_task(self._send(files, channel, sending))
        return about

    async def _send(self, files: Remote, channel: Channel, sending: Sending) -> int:
        outcome = FAILED
        try:
            while data := await in_thread(lambda: _piece(sending)):
                await channel.write(data)
            outcome = await in_thread(lambda: _outcome(files, sending))
        except (Fault, ChannelLost):
            outcome = FAILED
        finally:
            with suppress(Exception):
                await in_thread(sending.file.close)
        with suppress(ChannelLost):
            await channel.finish(outcome)
        return outcome

    async def _zip(self, _: Arguments) -> Arguments:
        raise Fault("unsupported", "over SSH folders are not packed: take the files one by one")

    async def _got(self, arguments: Arguments) -> Arguments:
        number = arguments.get("channel")
        sending = self._sending.pop(number, None) if type(number) is int else None
        if sending is None or sending.task is None:
            raise Fault("not_found", "nothing is sent on this channel")
        if arguments.get("abandon") is not True:
            await asyncio.wait([sending.task], timeout=LAST)
        with suppress(WireError):
            self._link.leave(self._link.channel(number))
        await asyncio.wait([sending.task])
        outcome = FAILED if sending.task.cancelled() else sending.task.result()
        sha256 = sending.digest.hexdigest() if sending.end == sending.size else ""
        return {"outcome": OUTCOMES[outcome], "sha256": sha256, "bytes": sending.at, "skipped": 0}

    # changes

    async def _make(self, arguments: Arguments) -> Arguments:
        files, path = await self._files(), path_of(_KEY.read(arguments.get("key"), "key"))
        name = new_name(text(800, minimum=1).read(arguments.get("name"), "name"))
        await in_thread(lambda: files.make(f"{path.rstrip('/')}/{name}"))
        return {}

    async def _rename(self, arguments: Arguments) -> Arguments:
        files, path = await self._files(), path_of(_KEY.read(arguments.get("key"), "key"))
        name = new_name(text(800, minimum=1).read(arguments.get("name"), "name"))
        await in_thread(lambda: files.rename(path, name))
        return {}

    async def _delete(self, arguments: Arguments) -> Arguments:
        files, path = await self._files(), path_of(_KEY.read(arguments.get("key"), "key"))
        whole = arguments.get("whole") is True
        return {"removed": await in_thread(lambda: files.remove(path, whole=whole))}

    # in

    async def _put_begin(self, arguments: Arguments) -> Arguments:
        files, place = await self._files(), _place(arguments)
        return await in_thread(lambda: _begun(files, place))

    async def _put(self, arguments: Arguments) -> Arguments:
        files, place = await self._files(), _place(arguments)
        start, length = (_COUNT.read(arguments.get(name), name) for name in ("start", "length"))
        channel = self._link.channel(arguments.get("channel"))
        if place.part in self._writing:
            raise Fault("busy", "somebody else is sending this file")
        self._writing.add(place.part)
        try:
            return {"have": await self._write(files, place, channel, start, length)}
        finally:
            self._writing.discard(place.part)
            self._link.leave(channel)

    async def _write(self, files: Remote, place: Place, channel: Channel, start: int, length: int) -> int:
        """As far as the bytes come; what is there already is passed over."""
        file, have = await in_thread(lambda: _reopened(files, place))
        try:
            known, left = have - start, length
            while start <= have and left > 0:
                try:
                    data = (await channel.read(PIECE))[:left]
                except ChannelLost:
                    break
                if not data:
                    break
                left -= len(data)
                fresh, known = data[max(0, known) :], max(0, known - len(data))
                await in_thread(lambda fresh=fresh: _written(file, fresh))  # type: ignore[misc]
        finally:
            with suppress(Exception):
                await in_thread(file.close)
        return await in_thread(lambda: _length(files, place))

    async def _put_end(self, arguments: Arguments) -> Arguments:
        files, place = await self._files(), _place(arguments)
        sha256 = text(64, minimum=64).read(arguments.get("sha256"), "sha256").lower()
        overwrite = arguments.get("overwrite") is True
        return await in_thread(lambda: _ended(files, place, sha256, overwrite=overwrite))

    async def _put_drop(self, arguments: Arguments) -> Arguments:
        files, place = await self._files(), _place(arguments)

        def drop() -> None:
            with suppress(Fault), told():
                files.sftp.remove(place.part)

        await in_thread(drop)
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an upload goes: ``part`` is its unfinished file, beside it."""

    folder: str
    names: tuple[str, ...]
    path: str
    part: str
    size: int
    modified: int


def _place(arguments: Arguments) -> Place:
    """Raises Fault, WireError."""
    names, token = arguments.get("names"), arguments.get("token")
    if not isinstance(names, list) or not names or not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise Fault("name", "an upload needs a name and a token")
    checked = tuple(new_name(name if isinstance(name, str) else "") for name in names)
    folder = path_of(_KEY.read(arguments.get("key"), "key"))
    path = "/".join([folder.rstrip("/"), *checked])
    return Place(
        folder=folder, names=checked, path=path, part=f"{path.rpartition('/')[0]}/.{token}.compagnon-part",
        size=_COUNT.read(arguments.get("size"), "size"),
        modified=integer(0, 2**40).read(arguments.get("modified", 0), "modified"),
    )  # fmt: skip


def _begun(files: Remote, place: Place) -> dict[str, JSON]:
    files.require_plain(place.folder)
    folder = place.folder
    for name in place.names[:-1]:
        folder = f"{folder.rstrip('/')}/{name}"
        if files.look(folder) is None:
            files.make(folder)
    files.above(place.path)
    present = files.look(place.path)
    if present is not None and kind_of(present.st_mode or 0) != "file":
        raise Fault("exists", "there is something else of this name already")
    about: dict[str, JSON] = {"exists": present is not None, "have": _length(files, place)}
    if present is not None:
        about |= {"size": present.st_size or 0, "modified": max(0, int(present.st_mtime or 0))}
    return about


def _length(files: Remote, place: Place) -> int:
    """Of the unfinished file; one that is too long, or none, is begun anew."""
    found = files.look(place.part)
    if found is None:
        return 0
    if kind_of(found.st_mode or 0) != "file" or (found.st_size or 0) > place.size:
        with told():
            files.sftp.remove(place.part)
        return 0
    return found.st_size or 0


def _reopened(files: Remote, place: Place) -> tuple[paramiko.SFTPFile, int]:
    files.above(place.part)
    have = _length(files, place)
    with told():
        file = files.sftp.open(place.part, "r+b" if have else "wb")
        file.seek(have)
        file.set_pipelined(True)
    return file, have


def _written(file: paramiko.SFTPFile, data: bytes) -> None:
    with told():
        file.write(data)


def _ended(files: Remote, place: Place, sha256: str, *, overwrite: bool) -> dict[str, JSON]:
    """Compared on the device, then put in its place. Said again, it is answered again."""
    files.above(place.path)
    answer: dict[str, JSON] = {"sha256": sha256, "size": place.size, "replaced": False}
    part, present = files.look(place.part), files.look(place.path)
    if part is None and place.size:
        same = present is not None and present.st_size == place.size and files.sha256(place.path) == sha256
        if same:
            return answer
        raise Fault("gone", "the unfinished file is not there any more: send it again")
    if part is None:
        with told():
            files.sftp.open(place.part, "wb").close()
    if _length(files, place) != place.size:
        raise Fault("incomplete", "the file is not whole yet")
    if files.sha256(place.part) != sha256:
        with told():
            files.sftp.remove(place.part)
        raise Fault("damaged", "what arrived is not what was sent: send it again")
    if present is not None and not overwrite:
        raise Fault("exists", "there is a file of this name already")
    files.put_in_place(place.part, place.path, replaces=present is not None, modified=place.modified)
    return {**answer, "replaced": present is not None}


def _opened(files: Remote, path: str, start: int, length: int) -> tuple[Sending, dict[str, JSON]]:
    files.require_plain(path)
    with told():
        found = files.sftp.stat(path)
        kind = kind_of(found.st_mode or 0)
        if kind != "file":
            raise Fault("is_folder" if kind == "folder" else "special", "this is not a file")
        file = files.sftp.open(path, "rb")
        size = found.st_size or 0
        start = min(start, size)
        end = min(start + length, size) if length else size
        first = 0 if end == size else start  # the digest of the whole needs the beginning, too
        file.seek(first)
        file.prefetch(end)
    version = f"{size:x}-{int(found.st_mtime or 0):x}"
    sending = Sending(
        file=file, path=path, size=size, version=version, at=first, start=start, end=end, digest=hashlib.sha256()
    )
    modified = max(0, int(found.st_mtime or 0))
    return sending, {"size": size, "length": end - start, "modified": modified, "version": version}


def _piece(sending: Sending) -> bytes:
    """The next bytes that the other side does not have; empty at the end. Raises Fault."""
    with told():
        while data := sending.file.read(min(PIECE, sending.end - sending.at)):
            sending.digest.update(data)
            before, sending.at = sending.at, sending.at + len(data)
            fresh: bytes = data[max(0, sending.start - before) :]
            if fresh:
                return fresh
    return b""


def _outcome(files: Remote, sending: Sending) -> int:
    with told():
        found = files.sftp.stat(sending.path)
    same = f"{found.st_size or 0:x}-{int(found.st_mtime or 0):x}" == sending.version
    return WHOLE if same and sending.at == sending.end else CHANGED


def _chosen(entries: list[Found], arguments: Arguments) -> list[Found]:
    """Folders first; ``wanted`` in the name, whatever its case."""
    wanted, hidden = str(arguments.get("wanted", "")).casefold(), arguments.get("hidden") is True
    kept = [one for one in entries if (hidden or not one.name.startswith(".")) and wanted in one.name.casefold()]
    kept.sort(key=lambda one: (one.name.casefold(), one.name))
    if arguments.get("order") == "size":
        kept.sort(key=lambda one: one.size, reverse=arguments.get("down") is True)
    elif arguments.get("order") == "modified":
        kept.sort(key=lambda one: one.modified, reverse=arguments.get("down") is True)
    elif arguments.get("down") is True:
        kept.reverse()
    kept.sort(key=lambda one: one.kind != "folder")
    return kept


def _page(files: Remote, folder: str, entries: list[Found]) -> list[JSON]:
    page: list[JSON] = []
    room = PAGE_BYTES
    for entry in entries:
        item = _told(entry, entry.name)
        if entry.kind == "link":
            item = {**item, **files.target(folder, entry.name)}
        room -= sum(len(value.encode()) for value in item.values() if isinstance(value, str)) + 120
        if room < 0:
            break
        page.append(item)
    return page


def _told(entry: Found, path: str) -> dict[str, JSON]:
    return {
        "name": _shown(entry.name), "key": key_of(path), "kind": entry.kind, "size": entry.size,
        "modified": min(entry.modified, 2**40),
    }  # fmt: skip


def _shown(name: str) -> str:
    """For people: signs that do not show become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else sign for sign in name)

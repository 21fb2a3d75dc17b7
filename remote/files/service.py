"""Look at the files of a machine, carry them both ways, change them.

Each of these is recorded and audited before the machine is asked for it, and once more when it is known how it went.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote
from weakref import WeakKeyDictionary

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import Invalid
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol.wire import JSON, integer, record, sequence, text
from remote.files.model import (
    KEY_LENGTH,
    MEGABYTE,
    PAGE,
    PICTURE_LIMIT,
    RATES,
    TEXT_LIMIT,
    About,
    Begun,
    Entry,
    Listing,
    Look,
    Place,
    Sent,
    name_of,
    picture_type,
    plain,
    readable,
    shortened,
)
from remote.files.transfers import Outgoing, Rate, feed
from remote.files.words import Clash
from remote.files.words import told as words
from remote.sessions.call_room import WAIT, CallFailed, CallRoom, Value, told
from remote.sessions.calling import Calling
from remote.sessions.model import Capability

LONG = 600.0  # seconds: a folder taken away, a large file compared, a piece over a slow line
_Ending: TypeAlias = Callable[[str, Sent | None], Awaitable[None]]
_ENTRIES = sequence(record(Entry), PAGE)
_COUNT = integer(0, 2**53)
_KEY = text(KEY_LENGTH)
_PATH = text(KEY_LENGTH)
_ABOUT = record(About)
_BEGUN = record(Begun)


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """``about`` is None for an archive, whose length nobody knows before its end."""

    name: str
    start: int
    about: About | None
    pieces: AsyncIterator[bytes]
    cancel: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """``text`` of a small text (``cut`` when there is more), else ``picture`` when it is one."""

    name: str
    size: int
    text: str | None
    cut: bool
    picture: bool


class Files:
    """Use cases of ``files`` sessions. All raise what Calling.room and CallRoom.call raise, in the reader's words."""

    def __init__(self, kernel: Kernel, calling: Calling) -> None:
        self._db = kernel.db
        self._calling = calling
        self._rates: WeakKeyDictionary[CallRoom, Rate] = WeakKeyDictionary()
        self._places: WeakKeyDictionary[CallRoom, dict[str, Place]] = WeakKeyDictionary()
        self._looked: WeakKeyDictionary[CallRoom, set[str]] = WeakKeyDictionary()

    # looking

    async def listed(self, session_id: str, member: Member, look: Look) -> Listing:
        """One page of a folder."""
        room = await self._room(session_id, member, changes=False)
        await self._note_look(room, member, look.key)
        arguments: Value = {
            "key": look.key,
            "order": look.order.value,
            "down": look.down,
            "wanted": look.wanted,
            "hidden": look.hidden,
            "start": look.start,
            "limit": PAGE,
        }
        answer = await _call(room, "list", arguments, member)
        entries = told(_ENTRIES, answer, "entries")
        return Listing(
            look=look,
            path=told(_PATH, {"path": "", **answer}, "path"),
            root=told(_KEY, {"root": "", **answer}, "root"),
            root_path=told(_PATH, {"root_path": "", **answer}, "root_path"),
            entries=entries,
            rate=self._rate(room).limit // MEGABYTE,
            total=told(_COUNT, answer, "total"),
            more=told(_COUNT, answer, "more"),
        )

    async def _note_look(self, room: CallRoom, member: Member, key: str) -> None:
        """The first look into each folder."""
        seen = self._looked.setdefault(room, set())
        if key and key not in seen:
            await self._begin(room, member, "look", key)
            seen.add(key)

    async def preview(self, session_id: str, member: Member, key: str) -> Preview:
        """The beginning of a text, or whether it is a picture that can be shown."""
        room = await self._room(session_id, member, changes=False)
        about, head = await self._head(room, member, key, TEXT_LIMIT)
        picture = picture_type(head) != "" and about.size <= PICTURE_LIMIT
        shown = None if picture else readable(head)
        cut = shown is not None and about.size > len(head)
        return Preview(name=name_of(key), size=about.size, text=shown, cut=cut, picture=picture)

    async def picture(self, session_id: str, member: Member, key: str) -> tuple[str, bytes]:
        """Media type and bytes of a small picture. Raises Invalid for anything else."""
        room = await self._room(session_id, member, changes=False)
        about, data = await self._head(room, member, key, PICTURE_LIMIT)
        kind = picture_type(data)
        if not kind or about.size > PICTURE_LIMIT:
            raise Invalid(N_("This is not a picture that can be shown here."))
        return kind, data

    async def _head(self, room: CallRoom, member: Member, key: str, limit: int) -> tuple[About, bytes]:
        download = await self._get(room, member, key, "preview", start=0, length=limit)
        assert download.about is not None
        return download.about, b"".join([piece async for piece in download.pieces])

    # out

    async def get(
        self, session_id: str, member: Member, key: str, *, start: int = 0, length: int = 0, version: str = ""
    ) -> Download:
        """A file, or ``length`` bytes of it (0: to the end); of that ``version`` where one is named."""
        room = await self._room(session_id, member, changes=False)
        return await self._get(room, member, key, "get", start=start, length=length, version=version)

    async def _get(
        self, room: CallRoom, member: Member, key: str, verb: str, *, start: int, length: int, version: str = ""
    ) -> Download:
        await self._begin(room, member, verb, key)
        channel = room.open_channel()
        arguments: Value = {
            "key": key,
            "channel": channel.number,
            "start": start,
            "length": length,
            "version": version,
        }
        try:
            answer = await _call(room, "get", arguments, member)
            about = told(_ABOUT, {"about": dict(answer)}, "about")
        except BaseException:
            room.leave_channel(channel)
            raise
        ended = self._ending(room, member, verb, key)
        sending = Outgoing(room, channel, member_id=member.id, rate=self._rate(room), about=about, ended=ended)
        return Download(
            name=name_of(key),
            start=min(start, about.size),
            about=about,
            pieces=sending.pieces(),
            cancel=sending.give_up,
        )

    async def archive(self, session_id: str, member: Member, key: str) -> Download:
        """A folder with everything in it, as a zip archive."""
        room = await self._room(session_id, member, changes=False)
        await self._begin(room, member, "zip", key)
        channel = room.open_channel()
        try:
            await _call(room, "zip", {"key": key, "channel": channel.number}, member)
        except BaseException:
            room.leave_channel(channel)
            raise
        ended = self._ending(room, member, "zip", key)
        sending = Outgoing(room, channel, member_id=member.id, rate=self._rate(room), about=None, ended=ended)
        return Download(
            name=f"{name_of(key) or 'files'}.zip", start=0, about=None, pieces=sending.pieces(), cancel=sending.give_up
        )

    # changes

    async def make(self, session_id: str, member: Member, key: str, name: str) -> None:
        """A new folder in the folder ``key``."""
        room = await self._room(session_id, member, changes=True)
        await self._begin(room, member, "make", f"{key}/{quote(name)}")
        await _call(room, "make", {"key": key, "name": name}, member)

    async def rename(self, session_id: str, member: Member, key: str, name: str) -> None:
        """Another name in the same folder, never over something else."""
        room = await self._room(session_id, member, changes=True)
        await self._begin(room, member, "rename", key, to=name)
        await _call(room, "rename", {"key": key, "name": name}, member)

    async def delete(self, session_id: str, member: Member, key: str, *, whole: bool) -> int:
        """A file, a link, or a folder (``whole``: with everything in it); how many things are gone."""
        room = await self._room(session_id, member, changes=True)
        await self._begin(room, member, "delete", key, whole=whole)
        answer = await _call(room, "delete", {"key": key, "whole": whole}, member, wait=LONG)
        return told(_COUNT, answer, "removed")

    async def set_rate(self, session_id: str, member: Member, megabytes: int) -> None:
        """How fast the transfers of this session may go, together; 0: as fast as they go."""
        if megabytes not in RATES:
            raise Invalid(N_("Please choose one of the list."), field="rate")
        room = await self._room(session_id, member, changes=True)
        self._rate(room).limit = megabytes * MEGABYTE
        room.tell_all("files", verb="rate", rate=megabytes, by=member.name)

    # in

    async def put_begin(self, session_id: str, member: Member, place: Place) -> Begun:
        """Begin an upload, or take it up again: how much of it is there."""
        room = await self._room(session_id, member, changes=True)
        await self._note(room, member, "put", place.path, bytes=place.size)
        answer = await _call(room, "put_begin", _about(place, member), member)
        self._places.setdefault(room, {})[place.token(member.id)] = place
        return told(_BEGUN, {"begun": dict(answer)}, "begun")

    def _place(self, room: CallRoom, member: Member, token: str) -> Place:
        """Where an upload that was begun goes. Raises Clash when it was not, or before this server started."""
        place = self._places.get(room, {}).get(token)
        if place is None or place.token(member.id) != token:
            raise Clash("gone")
        return place

    async def put(
        self, session_id: str, member: Member, token: str, *, start: int, length: int, body: AsyncIterator[bytes]
    ) -> int:
        """The next bytes, as far as they come; how many are there then."""
        room = await self._room(session_id, member, changes=True)
        place = self._place(room, member, token)
        channel = room.open_channel()
        arguments = {**_about(place, member), "start": start, "length": length, "channel": channel.number}
        try:
            answer = await feed(channel, body, self._rate(room), _call(room, "put", arguments, member, wait=LONG))
        finally:
            room.leave_channel(channel)
        return told(_COUNT, answer, "have")

    async def put_end(self, session_id: str, member: Member, token: str, *, sha256: str, overwrite: bool) -> None:
        """All of it is sent: compared, and put in its place at once. ``overwrite``: somebody said yes to that."""
        room = await self._room(session_id, member, changes=True)
        place = self._place(room, member, token)
        await self._note(room, member, "overwrite" if overwrite else "place", place.path)
        arguments = {**_about(place, member), "sha256": sha256, "overwrite": overwrite}
        try:
            await _call(room, "put_end", arguments, member, wait=LONG)
        except Exception as error:
            room.tell_all("files", verb="put", path=place.path, by=member.name, problem=str(error))
            raise
        sent = Sent(outcome="whole", sha256=sha256, bytes=place.size, skipped=0)
        await self._told(room, member, "put", place.path, "", sent)

    async def put_drop(self, session_id: str, member: Member, token: str) -> None:
        """The upload is given up: nothing of it is left at the machine."""
        room = await self._room(session_id, member, changes=True)
        place = self._place(room, member, token)
        await self._note(room, member, "drop", place.path)
        await _call(room, "put_drop", _about(place, member), member)

    # what all of them share

    async def _room(self, session_id: str, member: Member, *, changes: bool) -> CallRoom:
        return await self._calling.room(session_id, member, Capability.FILES, changes=changes)

    def _rate(self, room: CallRoom) -> Rate:
        return self._rates.setdefault(room, Rate())

    async def _begin(self, room: CallRoom, member: Member, verb: str, key: str, **details: object) -> None:
        await self._note(room, member, verb, plain(key), **details)

    async def _note(self, room: CallRoom, member: Member, verb: str, path: str, **details: object) -> None:
        """Before the machine is asked: what cannot be written down is not done."""
        await self._audit(room, member, verb, {"path": path, **details})
        more = "".join(f" {name}={value}" for name, value in details.items())
        room.record(f"files.{verb}: {shortened(path)}", f"files.{verb} {path}{more} ({member.name})")

    def _ending(self, room: CallRoom, member: Member, verb: str, key: str) -> _Ending:
        async def ended(problem: str, sent: Sent | None) -> None:
            await self._told(room, member, verb, plain(key), problem, sent)

        return ended

    async def _told(
        self, room: CallRoom, member: Member, verb: str, path: str, problem: str, sent: Sent | None
    ) -> None:
        """How it went. It happened: what cannot be written now is missing, and stops what comes next."""
        count, sha256 = (sent.bytes, sent.sha256) if sent else (0, "")
        result = problem or "done"
        if not room.over:
            if verb != "preview":  # one mark for a look is enough
                room.mark(f"files.{verb}.{result}: {shortened(path)} {count} {sha256}")
            room.say(f"files.{verb}.{result} {path} {count} bytes sha256 {sha256 or '-'} ({member.name})")
        facts: dict[str, object] = {
            "path": path,
            "bytes": count,
            "sha256": sha256,
            "skipped": sent.skipped if sent else 0,
        }
        await self._audit(room, member, f"{verb}.{result}", facts)
        room.tell_all("files", verb=verb, by=member.name, problem=problem, **facts)

    async def _audit(self, room: CallRoom, member: Member, verb: str, details: dict[str, object]) -> None:
        actor, subject = Actor.member(member.id), f"session:{room.session_id}"
        facts = {**details, "machine": room.machine_id}
        async with self._db.transaction() as conn:
            await audit.record(conn, actor=actor, action=f"files.{verb}", subject=subject, details=facts)


def _about(place: Place, member: Member) -> dict[str, JSON]:
    return {
        "key": place.key,
        "names": list(place.names),
        "size": place.size,
        "modified": place.modified,
        "token": place.token(member.id),
    }


async def _call(room: CallRoom, method: str, arguments: Value, member: Member, *, wait: float = WAIT) -> Value:
    try:
        return await room.call(f"files.{method}", arguments, member_id=member.id, wait=wait)
    except CallFailed as fault:
        raise words(fault) from None

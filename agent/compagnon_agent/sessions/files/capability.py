"""The methods that the server calls in a ``files`` session. What changes something is told to the audit log first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from ...protocol.channel import Channel, ChannelLost
from ...protocol.wire import JSON, read_record
from ..capability import Arguments, CallError, Capability, Method
from . import asked, listing, receiving
from .folder import fault_of, open_folder
from .names import Parts, begins, check_new_name, key_of, parts_of, path_of, shown
from .packing import Archive
from .reach import Reach, reach_here
from .receiving import Begun, Digests, Place, Writing, place_of
from .removing import remove
from .sending import PIECE, OneFile, Outcome, Source

if TYPE_CHECKING:
    from ..calls import CallSession

T = TypeVar("T")
LAST_ACKNOWLEDGEMENT = 10.0  # seconds for it to come in, once the other side has had everything
_busy: set[str] = set()
"""Unfinished files being written now, by whatever session of this agent."""


class Files(Capability):
    """Every path is looked at anew, by the policy as it is then."""

    def __init__(self, session: CallSession) -> None:
        super().__init__(session)
        self._transfers: dict[int, tuple[asyncio.Task[Outcome], Source]] = {}
        self._begun: dict[str, Place] = {}
        self._digests = Digests()
        self._seen: listing.Seen | None = None
        self._looked: set[Parts] = set()

    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            "list": Method(handler=self._list, changes=False),
            "get": Method(handler=self._get, changes=True),
            "zip": Method(handler=self._zip, changes=True),
            "got": Method(handler=self._got, changes=False),
            "make": Method(handler=self._make, changes=True),
            "rename": Method(handler=self._rename, changes=True),
            "delete": Method(handler=self._delete, changes=True),
            "put_begin": Method(handler=self._put_begin, changes=True),
            "put": Method(handler=self._put, changes=False),  # what begin and end tell, in hundreds of pieces
            "put_end": Method(handler=self._put_end, changes=True),
            "put_drop": Method(handler=self._put_drop, changes=True),
        }

    async def reset(self) -> None:
        await self._stop_transfers()

    async def close(self) -> None:
        """What was not finished in this session is taken away with it."""
        await self._stop_transfers()
        for place in self._begun.values():
            with suppress(CallError, OSError):
                await self._run(receiving.drop, place, self._reach())

    async def _stop_transfers(self) -> None:
        tasks = [task for task, _ in self._transfers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._transfers.clear()

    def _reach(self) -> Reach:
        return reach_here(self.session.around.state)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        """In a thread; errors of the system become sentences."""
        try:
            return await asyncio.to_thread(work, *arguments)
        except OSError as error:
            raise fault_of(error) from None

    def _note(self, what: str, parts: Parts, **details: JSON) -> None:
        self._write_down(what, {"path": shown(path_of(parts)), **details})

    def _write_down(self, what: str, details: Mapping[str, JSON]) -> None:
        request = self.session.request
        about: dict[str, JSON] = {"session": request.session_id, "member": request.member_name}
        self.session.around.write_down(f"files.{what}", {**about, **details})

    # -- looking

    async def _list(self, arguments: Arguments) -> Arguments:
        wanted = read_record(asked.List, dict(arguments), "")
        reach = self._reach()
        if not wanted.key:
            tops = await self._run(listing.tops, reach)
            return {"entries": tops, "total": len(tops), "more": 0}
        seen = await self._look(parts_of(wanted.key), reach, again=wanted.start == 0)
        return await self._run(_page, seen, wanted, reach)

    async def _look(self, parts: Parts, reach: Reach, *, again: bool) -> listing.Seen:
        kept, self._seen = self._seen, None
        if kept is None or again or kept.parts != parts or not kept.fresh:
            kept = await self._run(listing.look_into, parts, reach)
        if parts not in self._looked:
            self._looked.add(parts)
            self._note("look", parts)
        self._seen = kept
        return kept

    # -- out

    async def _get(self, arguments: Arguments) -> Arguments:
        wanted = read_record(asked.Get, dict(arguments), "")
        parts = parts_of(wanted.key)
        channel = self.session.channel(wanted.channel)
        source = await self._run(_opened, parts, self._reach(), wanted)
        about = source.about
        if wanted.version and wanted.version != about["version"]:
            source.close()
            raise CallError("changed", "the file has changed")
        self._note("get", parts, start=wanted.start, bytes=about["length"])
        self._start(channel, source)
        return about

    async def _zip(self, arguments: Arguments) -> Arguments:
        wanted = read_record(asked.Zip, dict(arguments), "")
        parts, reach = parts_of(wanted.key), self._reach()
        with await self._run(open_folder, parts, reach):
            channel = self.session.channel(wanted.channel)
        self._note("zip", parts)
        self._start(channel, Archive(parts, reach))
        return {}

    def _start(self, channel: Channel, source: Source) -> None:
        if channel.number in self._transfers:
            raise CallError("busy", "this channel is in use")
        self._transfers[channel.number] = (asyncio.create_task(self._send(channel, source)), source)

    async def _send(self, channel: Channel, source: Source) -> Outcome:
        try:
            outcome = await source.send(channel)
        except (OSError, CallError):
            outcome = Outcome.FAILED
        except ChannelLost:
            return Outcome.FAILED
        with suppress(ChannelLost):
            await channel.finish(outcome)
        return outcome

    async def _got(self, arguments: Arguments) -> Arguments:
        """How a transfer ended; one that is given up ends here."""
        of = read_record(asked.Of, dict(arguments), "")
        number = of.channel
        if number not in self._transfers:
            raise CallError("not_found", "nothing is sent on this channel")
        task, source = self._transfers[number]
        if not of.abandon:
            await asyncio.wait([task], timeout=LAST_ACKNOWLEDGEMENT)
        self.session.leave(self.session.channel(number))  # whatever still sends gives up
        await asyncio.wait([task])
        del self._transfers[number]
        told: dict[str, JSON] = {"outcome": task.result().name.lower(), **source.told()}
        self._write_down("sent", told)
        return told

    # -- changes

    async def _make(self, arguments: Arguments) -> Arguments:
        wanted = read_record(asked.Make, dict(arguments), "")
        parts = parts_of(wanted.key)
        check_new_name(wanted.name)
        self._note("make", (*parts, wanted.name))
        await self._run(_made, parts, self._reach(), wanted.name)
        return {}

    async def _rename(self, arguments: Arguments) -> Arguments:
        wanted = read_record(asked.Rename, dict(arguments), "")
        parts = parts_of(wanted.key)
        check_new_name(wanted.name)
        self._note("rename", parts, to=shown(wanted.name))
        await self._run(_renamed, parts, self._reach(), wanted.name)
        return {}

    async def _delete(self, arguments: Arguments) -> Arguments:
        wanted = read_record(asked.Delete, dict(arguments), "")
        parts = parts_of(wanted.key)
        self._note("delete", parts, whole=wanted.whole)
        removed = await self._run(remove, parts, self._reach(), wanted.whole)
        return {"removed": removed}

    # -- in

    async def _put_begin(self, arguments: Arguments) -> Arguments:
        place = place_of(read_record(asked.Put, dict(arguments), ""))
        self._note("put", place.parts, bytes=place.size)
        begun: Begun = await self._run(receiving.begin, place, self._reach())
        for made in begun.made:
            self._note("make", made)
        self._begun[place.key] = place
        present = begun.present
        about: dict[str, JSON] = {"exists": present is not None, "have": begun.have}
        if present is not None:
            about |= {"size": present.st_size, "modified": max(0, int(present.st_mtime))}
        return about

    async def _put(self, arguments: Arguments) -> Arguments:
        """As far as the bytes come: fewer than announced when their sender was cut off."""
        place = place_of(read_record(asked.Put, dict(arguments), ""))
        piece = read_record(asked.Piece, dict(arguments), "")
        channel = self.session.channel(piece.channel)
        self._require_begun(place)
        try:
            return {"have": await self._write(place, piece, channel)}
        finally:
            self.session.leave(channel)

    def _require_begun(self, place: Place) -> None:
        """What may be written was told to the audit log when the upload began (in this session)."""
        if place.key not in self._begun:
            raise CallError("gone", "this upload was not begun here")
        self._require_idle(place)

    def _require_idle(self, place: Place) -> None:
        if place.key in _busy:
            raise CallError("busy", "somebody else is sending this file")

    async def _write(self, place: Place, piece: asked.Piece, channel: Channel) -> int:
        _busy.add(place.key)
        try:
            writing = await self._run(Writing, place, self._reach(), self._digests)
            try:
                await self._take_in(writing, piece, channel)
            finally:
                await asyncio.to_thread(writing.close)
        except CallError as fault:
            if fault.code == "full":
                await self._run(receiving.drop, place, self._reach())
                del self._begun[place.key]
            raise
        finally:
            _busy.discard(place.key)
        return writing.have

    async def _take_in(self, writing: Writing, piece: asked.Piece, channel: Channel) -> None:
        """Bytes that are there already are passed over; a piece that comes too early is not taken."""
        if piece.start > writing.have:
            return
        left, known = piece.length, writing.have - piece.start
        while left > 0:
            try:
                data = await channel.read(PIECE)
            except ChannelLost:
                return
            if not data:
                return
            data = data[:left]
            left -= len(data)
            fresh, known = data[known:], max(0, known - len(data))
            if fresh:
                await self._run(writing.write, fresh)

    async def _put_end(self, arguments: Arguments) -> Arguments:
        place = place_of(read_record(asked.Put, dict(arguments), ""))
        said = read_record(asked.End, dict(arguments), "")
        self._require_idle(place)
        _busy.add(place.key)
        try:
            ended = await self._run(_ended, place, self._reach(), self._digests, said)
        finally:
            _busy.discard(place.key)
        self._begun.pop(place.key, None)
        self._note("put.done", place.parts, bytes=ended.size, sha256=ended.sha256, replaced=ended.replaced)
        return {"sha256": ended.sha256, "size": ended.size, "replaced": ended.replaced}

    async def _put_drop(self, arguments: Arguments) -> Arguments:
        place = place_of(read_record(asked.Put, dict(arguments), ""))
        self._require_begun(place)
        self._note("put.drop", place.parts)
        await self._run(receiving.drop, place, self._reach())
        del self._begun[place.key]
        return {}


def _page(seen: listing.Seen, wanted: asked.List, reach: Reach) -> Arguments:
    entries = listing.chosen(
        seen.entries, order=wanted.order, down=wanted.down, wanted=wanted.wanted, hidden=wanted.hidden
    )
    told = listing.page(seen, entries, wanted.start, wanted.limit, reach)
    root = max((root for root in reach.roots if begins(seen.parts, root)), key=len)
    return {
        "entries": told,
        "total": len(entries),
        "more": seen.more,
        "path": shown(path_of(seen.parts)),
        "root": key_of(root),
        "root_path": shown(path_of(root)),
    }


def _opened(parts: Parts, reach: Reach, wanted: asked.Get) -> OneFile:
    if not parts:
        raise CallError("is_folder", "this is a folder")
    with open_folder(parts[:-1], reach) as folder:
        return OneFile(folder.open_file(parts[-1]), start=wanted.start, length=wanted.length)


def _made(parts: Parts, reach: Reach, name: str) -> None:
    with open_folder(parts, reach) as folder:
        folder.make_folder(name)


def _renamed(parts: Parts, reach: Reach, name: str) -> None:
    with open_folder(parts[:-1], reach) as folder:
        folder.rename(parts[-1], name)


def _ended(place: Place, reach: Reach, digests: Digests, said: asked.End) -> receiving.Ended:
    return receiving.end(place, reach, digests, sha256=said.sha256.lower(), overwrite=said.overwrite)

"""Begin, continue, finish, read and verify recordings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from compagnon.errors import NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from kb.search.analysis import VERSION
from kb.search.records import tsvector_text
from remote.recordings import cast, files, store, text
from remote.recordings.model import ERASED, ChainReport, Marker, Recording, RecordingState, Spoken
from remote.recordings.recorder import Recorder, Restored, being_written, claimed
from remote.sessions.scrollback import SCROLLBACK

log = logging.getLogger(__name__)
FOLDER = "recordings"
LIMIT = 200 * 1024 * 1024  # bytes of one recording's file: a session that fills it is ended
BATCH = 20  # recordings read again at a time
REMEMBERED = 256  # recordings whose verdict is remembered
FRESH = 30.0  # seconds for which the verdict on a recording that still grows is good enough to be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What reading a recording once tells. ``of`` is the file it was told of: size, time of change, anchor.

    ``seconds``: how long it is.
    """

    of: tuple[int, ...] | None
    anchor: str
    at: float
    report: ChainReport
    markers: Sequence[Marker]
    seconds: float


class Recordings:
    """Files under ``data_dir/recordings``, one row each in the database."""

    def __init__(self, kernel: Kernel) -> None:
        self._db = kernel.db
        self._root = kernel.settings.data_dir / FOLDER
        self._surveys: dict[str, Survey] = {}
        self._finishing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._reading = asyncio.Lock()  # one at a time: a recording is long, and reading it is work

    async def get(self, session_id: str) -> Recording:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            found = await store.get(conn, session_id)
        if found is None:
            raise NotFound(N_("There is no recording of this session."))
        return found

    def path(self, recording: Recording) -> Path:
        """Where its file is; see ``files`` for how to read it."""
        return files.found(self._root / recording.file)

    async def begin(self, session_id: str, *, title: str, columns: int, rows: int) -> tuple[Recorder, Restored]:
        """The session's recorder: a new file, or the one it has, continued. Raises OSError, ChainError."""
        async with self._db.connection() as conn:
            found = await store.get(conn, session_id)
        if found is not None:
            return await asyncio.to_thread(Recorder.reopen, self.path(found), keep=SCROLLBACK)
        file = f"{session_id[:2]}/{session_id}.cast"
        path = self._root / file
        await asyncio.to_thread(_make_folder, self._root, path.parent)
        # The row comes first: a file that no row names would never be found again.
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        async with self._db.transaction() as conn:
            await store.add(conn, session_id, file)
        recorder = Recorder.create(path, columns=columns, rows=rows, title=title)
        return recorder, Restored(offset=0, tail=b"", columns=columns, rows=rows)

    async def anchor(self, session_id: str, recorder: Recorder) -> None:
        """Keep the chain's head outside of the file."""
        async with self._db.transaction() as conn:
            await store.anchor(conn, session_id, chunks=recorder.chunks, size=recorder.offset, head=recorder.head)

    async def finish(self, session_id: str) -> None:
        """Read the closed file once more: its state, its anchor and its words; then compress it. Idempotent."""
        async with self._claimed(session_id) as recording:
            if recording is None:
                return
            if recording.state is RecordingState.RECORDING:
                await self._read_through(recording)
            await self._compress(await self.get(session_id))

    @contextlib.asynccontextmanager
    async def _claimed(self, session_id: str) -> AsyncIterator[Recording | None]:
        """The recording as it is now, for one finisher at a time; None when it is written or finished elsewhere.

        Two at once would each take the other's compressed copy for one too many, and remove it.
        """
        async with self._finishing.setdefault(session_id, asyncio.Lock()):
            try:
                path = self.path(await self.get(session_id))
            except NotFound:
                yield None
                return
            with claimed(path) as alone:  # among the server processes
                yield await self.get(session_id) if alone else None

    async def _read_through(self, recording: Recording) -> None:
        report, spoken = await asyncio.to_thread(_read, self.path(recording), recording)
        state = RecordingState.COMPLETE if report.sound else RecordingState.FAILED
        async with self._db.transaction() as conn:
            await store.finish(
                conn,
                recording.session_id,
                state=state,
                chunks=report.chunks,
                size=report.bytes,
                head=report.head,
                spoken=spoken,
            )

    async def _compress(self, recording: Recording) -> None:
        """Only what is sound: a file whose chain is broken stays as it was found. A full disk leaves it plain.

        Only for whoever has it :meth:`_claimed`.
        """
        path = self._root / recording.file
        if recording.state is not RecordingState.COMPLETE:
            return
        if files.is_packed(path):
            await asyncio.to_thread(files.drop_plain, path)
            return
        try:
            packed = await asyncio.to_thread(files.compress, path)
        except OSError as error:
            log.error("recording %s stays uncompressed: %s", recording.session_id, error)
            return
        async with self._db.transaction() as conn:
            moved = await store.rename(conn, recording.session_id, recording.file, self._name(packed))
        await asyncio.to_thread((path if moved else packed).unlink, missing_ok=True)  # else: erased meanwhile

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    async def in_use(self, session_id: str) -> bool:
        """Whether some server process writes it now."""
        try:
            return await asyncio.to_thread(being_written, self.path(await self.get(session_id)))
        except (NotFound, OSError):
            return False

    async def finish_left_over(self) -> int:
        """After a start: finish and compress what the server was killed before; how many were not finished."""
        plain = await asyncio.to_thread(files.plain_ones, self._root)
        async with self._db.connection() as conn:
            unfinished = await store.unfinished(conn)
            # The files of sessions that go on are plain too, and nobody's at this moment: they are left alone.
            complete = await store.complete(conn, plain)
        for session_id in [*unfinished, *complete]:
            await self.finish(session_id)
        return len(unfinished)

    async def index_old(self) -> int:
        """Make recordings findable whose words were not written, or by an older analysis; how many. A few at a time.

        Recordings made before there was a search, and all of them once the analysis changes. May run twice.
        """
        done = 0
        while True:
            async with self._db.connection() as conn:
                found = await store.other_version(conn, VERSION, BATCH)
            for recording in found:
                await self._index(recording)
            done += len(found)
            if len(found) < BATCH:
                return done

    async def _index(self, recording: Recording) -> None:
        """The words of the transcript as it was kept; its moments, where the file still says the same."""
        kept = await self.transcript(recording.session_id)
        _, spoken = await asyncio.to_thread(_read, self.path(recording), recording)
        if spoken.text != kept:
            words = await asyncio.to_thread(tsvector_text, "", kept)
            spoken = Spoken(text=kept, moments=(), words=words)
        async with self._db.transaction() as conn:
            await store.index(conn, recording.session_id, spoken)

    async def verify(self, recording: Recording) -> ChainReport:
        """Read the whole chain again and compare it with the anchor; of an erased one, that nothing is left."""
        return await asyncio.to_thread(_verify, self.path(recording), recording)

    async def verify_all(self) -> list[tuple[Recording, ChainReport]]:
        """Every recording, oldest first (``compagnon audit verify``)."""
        async with self._db.connection() as conn:
            found = await store.everything(conn)
        return [(recording, await self.verify(recording)) for recording in found]

    async def survey(self, recording: Recording) -> Survey:
        """Verdict and markers for a page. The file is read only when it is not the one that was read before."""
        async with self._reading:
            known = self._surveys.pop(recording.session_id, None)
            found = known if known and self._holds(known, recording) else await self._look(recording)
            self._surveys[recording.session_id] = found  # the last one used is the last one forgotten
            while len(self._surveys) > REMEMBERED:
                del self._surveys[next(iter(self._surveys))]
        return found

    def _holds(self, known: Survey, recording: Recording) -> bool:
        if recording.state is RecordingState.RECORDING:
            return time.monotonic() - known.at < FRESH
        return known.anchor == recording.head and known.of is not None and known.of == _stamp(self.path(recording))

    async def _look(self, recording: Recording) -> Survey:
        path, seen = self.path(recording), cast.Markers()
        stamp, at = _stamp(path), time.monotonic()
        report = await asyncio.to_thread(_verify, path, recording, seen.see)
        return Survey(of=stamp, anchor=recording.head, at=at, report=report, markers=seen.found, seconds=seen.elapsed)

    async def markers(self, recording: Recording) -> list[Marker]:
        seen = cast.Markers()
        await asyncio.to_thread(_verify, self.path(recording), recording, seen.see)
        return seen.found

    async def transcript(self, session_id: str) -> str:
        return (await self.spoken(session_id)).text

    async def spoken(self, session_id: str) -> Spoken:
        """The words of a finished recording, with the second of each line where it is known; without lexemes."""
        async with self._db.connection() as conn:
            return await store.spoken(conn, session_id)


def _make_folder(root: Path, folder: Path) -> None:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    root.chmod(0o700)
    folder.mkdir(exist_ok=True, mode=0o700)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when the file is changed or replaced; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _verify(path: Path, recording: Recording, each: Callable[[cast.Chunk], None] | None = None) -> ChainReport:
    if recording.state in ERASED:
        problem = "erased, and still there" if recording.state is RecordingState.ERASED and files.copies(path) else ""
        return ChainReport(chunks=recording.chunks, bytes=recording.bytes, head=recording.head, problem=problem)
    try:
        with files.opened(path) as file:
            return cast.verify(iter(file), chunks=recording.chunks, head=recording.head, each=each)
    except OSError as error:
        return ChainReport(chunks=0, bytes=0, head="", problem=f"the file cannot be read ({error.strerror})")


def _read(path: Path, recording: Recording) -> tuple[ChainReport, Spoken]:
    """One pass for the chain and the words."""
    transcript, elapsed = text.Transcript(), 0.0

    def hear(chunk: cast.Chunk) -> None:
        nonlocal elapsed
        elapsed += chunk.interval
        if chunk.code == "o":
            transcript.feed(chunk.data, int(elapsed))

    report = _verify(path, recording, hear)
    with contextlib.suppress(OSError), path.open("rb") as file:
        os.fsync(file.fileno())
    words = transcript.text()
    return report, Spoken(text=words, moments=tuple(transcript.moments()), words=tsvector_text("", words))

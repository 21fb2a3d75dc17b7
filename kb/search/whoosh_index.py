"""The index on disk: opening, checking, writing. Knows Whoosh's files; knows nothing of scores.

Opening a Whoosh index executes pickles, so the folder is private (0700) and is refused when it belongs to someone else.
It is derived data: it is never restored from a backup, it is built anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import whoosh
from whoosh.filedb.filestore import FileStorage
from whoosh.index import FileIndex
from whoosh.reading import SegmentReader

from kb.search import analysis, whoosh_format
from kb.search.engine import IndexBroken
from kb.search.model import Document
from kb.search.whoosh_format import Untyped

_Index: Untyped = FileIndex
_Storage: Untyped = FileStorage
_Reader: Untyped = SegmentReader
NAME = "library"
MANIFEST = "manifest.json"
SUFFIXES = frozenset({".toc", ".seg", ".trm", ".pst", ".vps", ".col"})
LAYOUT = f"{whoosh_format.VERSION}.{analysis.VERSION}.{'.'.join(str(n) for n in whoosh.__version__[:2])}"
MERGED_BELOW = 0.5  # a segment with fewer living documents than this share is written anew
MEMORY = 64  # MB for a writer's postings before they go to disk


class LibraryIndex:
    """The files of the index in one folder. One process writes at a time (Whoosh's own lock file makes sure)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.schema = whoosh_format.schema()

    def create(self) -> None:
        """Begin an empty index in a new folder."""
        self.folder.mkdir(parents=True, mode=0o700)
        _Index.create(_Storage(str(self.folder)), self.schema, NAME)
        self._write_manifest(generation=0)

    def check(self, *, thorough: bool = False) -> dict[str, Any]:
        """The manifest of a usable index. ``thorough`` reads every file (1 GB/s): damaged pickles are never opened.

        Raises IndexBroken: missing, of another layout, files missing, cut short or changed.
        """
        if not self.folder.is_dir():
            raise IndexBroken("there is no index yet")
        check_private(self.folder)
        manifest = self.manifest()
        if manifest.get("layout") != LAYOUT:
            raise IndexBroken("the index was written by another version")
        for name, (size, checksum) in manifest["files"].items():
            path = self.folder / name
            if not path.is_file() or path.stat().st_size != size:
                raise IndexBroken(f"{name} is missing or cut short")
            if thorough and _checksum(path) != checksum:
                raise IndexBroken(f"{name} is damaged")
        return manifest

    def open(self) -> Untyped:
        """Raises IndexBroken for anything that Whoosh cannot read."""
        try:
            return _Index(_Storage(str(self.folder)), self.schema, NAME)
        except Exception as error:  # whatever unpickling damaged bytes may raise
            raise IndexBroken(f"the index cannot be read ({type(error).__name__})") from error

    def write(self, documents: Iterable[Document], removed: Iterable[str]) -> None:
        """One commit. Raises IndexBroken."""
        manifest = self.check()
        try:
            self._commit(documents, removed)
        except OSError:
            raise  # a full or read-only disk is no reason to throw the index away
        except Exception as error:
            raise IndexBroken(f"the index cannot be written ({type(error).__name__})") from error
        self._write_manifest(generation=manifest["generation"] + 1)

    def start(self) -> Untyped:
        """A writer for many documents at once (``finish`` makes them one segment); nothing is visible before that."""
        return self.open().writer(limitmb=MEMORY, timeout=30.0, delay=0.02)

    def finish(self, writer: Untyped) -> None:
        """Commit what ``start`` began."""
        writer.commit(merge=False)
        self._write_manifest(generation=1)

    def _commit(self, documents: Iterable[Document], removed: Iterable[str]) -> None:
        writer = self.start()
        try:
            for key in removed:
                writer.delete_by_term("key", key)
            for document in documents:
                writer.delete_by_term("key", document.key)
                writer.add_document(**whoosh_format.fields_of(document))
        except BaseException:
            writer.cancel()
            raise
        writer.commit(mergetype=merge)

    def manifest(self) -> dict[str, Any]:
        """What was noted at the last commit. Raises IndexBroken."""
        try:
            manifest: Any = json.loads((self.folder / MANIFEST).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise IndexBroken(f"the index has no readable manifest ({type(error).__name__})") from None
        files: object = manifest.get("files") if isinstance(manifest, dict) else None
        if not isinstance(files, dict) or not all(isinstance(each, list) and len(each) == 2 for each in files.values()):
            raise IndexBroken("the index has no readable manifest")
        return {**manifest}

    def _write_manifest(self, *, generation: int) -> None:
        known = self.manifest()["files"] if generation else {}
        files = {entry.name: known.get(entry.name) or _signature(entry) for entry in self._files()}
        content = json.dumps({"layout": LAYOUT, "generation": generation, "files": files})
        draft = self.folder / f"{MANIFEST}.new"
        draft.write_text(content, "utf-8")
        draft.replace(self.folder / MANIFEST)

    def _files(self) -> list[Path]:
        """The files of the last commit; each is written once and never changed."""
        return [entry for entry in self.folder.iterdir() if entry.suffix in SUFFIXES and entry.is_file()]


def _signature(path: Path) -> list[int]:
    return [path.stat().st_size, _checksum(path)]


def _checksum(path: Path) -> int:
    """CRC-32: against accidents, not against someone who may write here (see ``check_private``)."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found = zlib.crc32(block, found)
    return found


def check_private(folder: Path) -> None:
    """Raises IndexBroken when another account could have put files (pickles!) there."""
    found = folder.stat()
    if os.name == "posix" and (found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077):
        raise IndexBroken("the folder of the index is open to other accounts")


def merge(writer: Untyped, segments: list[Untyped]) -> list[Untyped]:
    """Keep few segments: small ones are merged into a new one when there are eight of a size, half-empty ones always.

    Sizes are powers of eight, so that each document is rewritten about log₈(n) times in its life.
    """
    levels: dict[int, list[Untyped]] = {}
    for segment in segments:
        levels.setdefault(_level(segment), []).append(segment)
    merged = [segment for segment in segments if segment.doc_count() < MERGED_BELOW * segment.doc_count_all()]
    for peers in levels.values():
        if len(peers) >= 8:
            merged.extend(segment for segment in peers if segment not in merged)
    for segment in merged:
        reader = _Reader(writer.storage, writer.schema, segment)
        with contextlib.closing(reader):
            if segment.doc_count():
                writer.add_reader(reader)
    return [segment for segment in segments if segment not in merged]


def _level(segment: Untyped) -> int:
    return max(int(segment.doc_count_all()), 1).bit_length() // 3

"""The index on disk: opening, checking, writing. Knows Whoosh's files; knows nothing of scores.

Opening a Whoosh index executes pickles, so the folder is private (0700) and is refused when it belongs to someone else.
It is derived data: it is never restored from a backup, it is built anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

import whoosh
from whoosh.filedb.filestore import FileStorage
from whoosh.index import FileIndex
from whoosh.reading import SegmentReader

from kb.search import analysis, manifest, whoosh_format
from kb.search.engine import IndexBroken
from kb.search.model import Document
from kb.search.whoosh_format import Untyped

Holders = Callable[[Untyped, str], Iterable[int]]
"""Of a segment and a key: the numbers of the documents with this key, deleted ones among them."""
_Index: Untyped = FileIndex
_Storage: Untyped = FileStorage
_Reader: Untyped = SegmentReader
NAME = "library"
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

    def open(self) -> Untyped:
        """Raises IndexBroken for anything that Whoosh cannot read."""
        try:
            return _Index(_Storage(str(self.folder)), self.schema, NAME)
        except Exception as error:  # whatever unpickling damaged bytes may raise
            raise IndexBroken(f"the index cannot be read ({type(error).__name__})") from error

    def write(self, documents: Iterable[Document], removed: Iterable[str], holders: Holders) -> None:
        """One commit. Raises IndexBroken."""
        known = manifest.check(self.folder, LAYOUT)
        try:
            self._commit(documents, removed, holders)
        except OSError:
            raise  # a full or read-only disk is no reason to throw the index away
        except Exception as error:
            raise IndexBroken(f"the index cannot be written ({type(error).__name__})") from error
        self._write_manifest(generation=known["generation"] + 1)

    def start(self) -> Untyped:
        """A writer for many documents at once (``finish`` makes them one segment); nothing is visible before that."""
        return self.open().writer(limitmb=MEMORY, timeout=30.0, delay=0.02)

    def finish(self, writer: Untyped) -> None:
        """Commit what ``start`` began."""
        writer.commit(merge=False)
        self._write_manifest(generation=1)

    def _commit(self, documents: Iterable[Document], removed: Iterable[str], holders: Holders) -> None:
        writer = self.start()
        try:
            for key in removed:
                _delete(writer, key, holders)
            for document in documents:
                _delete(writer, document.key, holders)
                writer.add_document(**whoosh_format.fields_of(document))
        except BaseException:
            writer.cancel()
            raise
        writer.commit(mergetype=merge)

    def _write_manifest(self, *, generation: int) -> None:
        manifest.write(self.folder, LAYOUT, generation, self._files())

    def _files(self) -> list[Path]:
        """The files of the last commit; each is written once and never changed."""
        return [entry for entry in self.folder.iterdir() if entry.suffix in SUFFIXES and entry.is_file()]


def _delete(writer: Untyped, key: str, holders: Holders) -> None:
    """Not by Whoosh's own ``delete_by_term``: it opens every segment anew for each call, and opening one copies it."""
    for segment in writer.segments:
        for document in holders(segment, key):
            if not segment.is_deleted(document):
                segment.delete_document(document)


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

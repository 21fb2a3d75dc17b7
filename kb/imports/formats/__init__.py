"""The formats a folder of documents may have, and reading a whole folder. Pure: texts in, articles out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kb.imports.formats.alchemy import Alchemy
from kb.imports.formats.base import Format
from kb.imports.formats.mallard import Mallard
from kb.imports.formats.notes import Notes
from kb.imports.formats.rocky import Rocky
from kb.imports.formats.runbooks import Runbooks
from kb.imports.model import Defaults, Parsed, ParsedArticle, Skipped, SkipReason, SourceFile

MALLARD = Mallard()
ALL: Sequence[Format] = (MALLARD, Alchemy(), Rocky(), Runbooks(), Notes())
FORMATS: Mapping[str, Format] = {one.name: one for one in ALL}
ENDINGS = frozenset(one.ending for one in ALL)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")
SAMPLE = 200  # files looked at to tell the format


def detect(files: Sequence[SourceFile]) -> Format | None:
    """The first format, in the order of ``FORMATS``, that most of the files have; None when no file is a document."""
    step = max(1, len(files) // SAMPLE)
    return next((one for one in ALL if one.recognises(files[::step])), None)


def read(files: Sequence[SourceFile], format: Format, defaults: Defaults) -> Iterator[ParsedArticle | Skipped]:
    """Each file in order, as an article or as left out with the reason. Nothing is raised, whatever they hold."""
    if format.name == MALLARD.name:
        defaults = replace(defaults, titles=MALLARD.titles(files))
    for file in files:
        if not file.path.lower().endswith(format.ending):
            yield Skipped(path=file.path, reason=SkipReason.OTHER_FILE)
        elif CONTROL.search(file.text):
            yield Skipped(path=file.path, reason=SkipReason.BINARY)
        else:
            yield format.parse(file, defaults)


def read_all(files: Sequence[SourceFile], format: Format, defaults: Defaults) -> Parsed:
    """All of a folder at once."""
    found = list(read(files, format, defaults))
    return Parsed(
        articles=tuple(one for one in found if isinstance(one, ParsedArticle)),
        skipped=tuple(one for one in found if isinstance(one, Skipped)),
    )

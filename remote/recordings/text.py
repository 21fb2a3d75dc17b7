"""The words of a terminal's output, for search: escape sequences dropped, overwritten lines taken as last written.

All of it is hostile and may be large: it is read as a stream, in time that grows with its length only.
"""

from __future__ import annotations

import re
from collections import deque

# ECMA-48 §5.4 control sequences, §5.6 control strings (OSC, DCS, SOS, PM, APC), and two-character escapes.
ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]"
)
ERASE_REST = re.compile(r"\x1b\[0?[JK]")  # how shells wipe what was typed before; kept as NUL until the line is settled
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MAXIMUM = 262_144  # characters kept of a session
LINE = 4096  # characters kept of a line
RAW_LINE = 65_536  # characters of a line, with its escape sequences, that are looked at


def plain(output: str) -> str:
    """Readable lines of ``output``, at most MAXIMUM characters: the beginning and the end when it is longer."""
    transcript = Transcript()
    transcript.feed(output)
    return transcript.text()


class Transcript:
    """The readable lines of an output that comes in pieces. Holds at most about MAXIMUM characters.

    Each piece may say at which ``second`` it was written; ``moments`` tells that of each line of the ``text``.
    """

    def __init__(self) -> None:
        self._second = 0
        self._pieces: list[str] = []  # the line that is not finished
        self._length = 0
        self._first: list[tuple[str, int]] = []
        self._first_size = 0
        self._last: deque[tuple[str, int]] = deque()
        self._last_size = 0
        self._dropped = False

    def feed(self, output: str, second: int = 0) -> None:
        self._second = second
        *lines, rest = output.split("\n")
        for line in lines:
            self._continue(line)
            self._end_line()
        self._continue(rest)

    def _continue(self, piece: str) -> None:
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length > 2 * RAW_LINE:
            self._pieces = [_ends(self._line(), RAW_LINE)]
            self._length = len(self._pieces[0])

    def _line(self) -> str:
        return "".join(self._pieces)

    def _end_line(self) -> None:
        raw = _ends(self._line(), RAW_LINE).replace("\0", "")
        line = settled(ESCAPES.sub("", ERASE_REST.sub("\0", raw)))
        self._pieces, self._length = [], 0
        if line.strip():
            self._keep(line)

    def _keep(self, line: str) -> None:
        size = len(line) + 1
        if not self._last and self._first_size + size <= MAXIMUM // 2:
            self._first.append((line, self._second))
            self._first_size += size
            return
        self._last.append((line, self._second))
        self._last_size += size
        while self._last_size > MAXIMUM // 2 - 2:
            self._last_size -= len(self._last.popleft()[0]) + 1
            self._dropped = True

    def text(self) -> str:
        """What is there so far; ends the last line."""
        self._end_line()
        return "\n".join(line for line, _ in self._lines())

    def moments(self) -> list[int]:
        """For each line of ``text``, after that was asked for, the second at which it was finished."""
        return [second for _, second in self._lines()]

    def _lines(self) -> list[tuple[str, int]]:
        cut = [("…", self._last[0][1])] if self._dropped and self._last else []
        return [*self._first, *cut, *self._last]


def settled(line: str) -> str:
    """What a line shows in the end: a cursor goes back (BS, CR), writes over, erases (NUL). At most LINE characters."""
    cells: list[str] = []
    at = 0
    for character in _ends(line, LINE):
        if character == "\r":
            at = 0
        elif character == "\b":
            at = max(0, at - 1)
        elif character == "\0":
            del cells[at:]
        elif character == "\t" or not CONTROLS.match(character):
            cells[at : at + 1] = [character]
            at += 1
    return "".join(cells).rstrip()


def _ends(text: str, limit: int) -> str:
    """The beginning and the end: of a progress bar the end counts, of a long record the beginning."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return text[:half] + text[-half:]

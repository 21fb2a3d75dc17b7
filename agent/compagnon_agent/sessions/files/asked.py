"""The arguments of each method, read strictly. ``key``, ``name``: see :mod:`.names`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ...protocol.wire import boolean, choice, integer, sequence, text
from .listing import Order
from .names import DEPTH, KEY_LENGTH, NAME_BYTES

_KEY = text(KEY_LENGTH)
_NAME = text(3 * NAME_BYTES, minimum=1)
_COUNT = integer(0, 2**53)
_CHANNEL = integer(1, 2**16)


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """An empty key is the top: the folders that are opened."""

    key: Annotated[str, _KEY]
    order: Annotated[Order, choice(Order)] = Order.NAME
    down: Annotated[bool, boolean] = False
    wanted: Annotated[str, text(100)] = ""
    hidden: Annotated[bool, boolean] = False
    start: Annotated[int, _COUNT] = 0
    limit: Annotated[int, integer(1, 500)] = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Get:
    """Bytes from ``start`` on; ``length`` 0: to the end."""

    key: Annotated[str, _KEY]
    channel: Annotated[int, _CHANNEL]
    start: Annotated[int, _COUNT] = 0
    length: Annotated[int, _COUNT] = 0
    version: Annotated[str, text(80)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zip:
    key: Annotated[str, _KEY]
    channel: Annotated[int, _CHANNEL]


@dataclass(frozen=True, slots=True, kw_only=True)
class Of:
    """What became of the transfer on a channel; ``abandon``: nobody wants the rest of it."""

    channel: Annotated[int, _CHANNEL]
    abandon: Annotated[bool, boolean] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    key: Annotated[str, _KEY]
    name: Annotated[str, _NAME]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    key: Annotated[str, _KEY]
    name: Annotated[str, _NAME]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """``whole``: a folder with everything in it."""

    key: Annotated[str, _KEY]
    whole: Annotated[bool, boolean] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One file on its way in: into the folder ``key``, under ``names`` (folders, then the file).

    ``token`` tells this upload from every other one to the same place; ``modified`` in Unix time.
    """

    key: Annotated[str, _KEY]
    names: Annotated[tuple[str, ...], sequence(_NAME, DEPTH)]
    size: Annotated[int, _COUNT]
    token: Annotated[str, text(32, minimum=16)]
    modified: Annotated[int, integer(0, 2**40)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The next ``length`` bytes, on a channel; ``start`` is where they belong."""

    start: Annotated[int, _COUNT]
    length: Annotated[int, _COUNT]
    channel: Annotated[int, _CHANNEL]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """``sha256`` of the whole as its sender read it; ``overwrite``: somebody said yes to that."""

    sha256: Annotated[str, text(64, minimum=64)]
    overwrite: Annotated[bool, boolean] = False

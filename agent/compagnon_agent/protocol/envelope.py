"""What every JSON message on the wire has in common: ``{"v": 1, "type": "…", …}``, at most 256 KiB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .terms import MAX_MESSAGE, VERSION
from .wire import WireError, dumps, loads, read_record, write_record


class Message:
    """Base of all messages; ``TYPE`` is the name on the wire."""

    __slots__ = ()
    TYPE: ClassVar[str] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Message):
    """A message of a type this version does not know."""

    name: str


def encode(message: Message) -> str:
    """JSON text of the message; :class:`WireError` when it would be longer than :data:`MAX_MESSAGE`."""
    encoded = dumps({"v": VERSION, "type": message.TYPE, **write_record(message)})
    if len(encoded.encode()) > MAX_MESSAGE:
        raise WireError(message.TYPE, f"longer than {MAX_MESSAGE} bytes")
    return encoded


def decode_as(source: str | bytes, types: Mapping[str, type[Message]]) -> Message:
    """The message in ``source``, of one of ``types``; :class:`Unknown` for another type.

    Raises :class:`WireError` for anything malformed.
    """
    value = loads(source, limit=MAX_MESSAGE)
    if not isinstance(value, dict):
        raise WireError("", "must be an object")
    if type(value.get("v")) is not int or value["v"] != VERSION:
        raise WireError("v", f"must be {VERSION}")
    name = value.get("type")
    if not isinstance(name, str):
        raise WireError("type", "must be text")
    cls = types.get(name)
    if cls is None:
        return Unknown(name=name[:80])
    return read_record(cls, value, "")

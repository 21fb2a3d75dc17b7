"""Typed, bounded reading and writing of JSON that comes from the other side and is hostile until read.

A :class:`Codec` turns a JSON value into a Python value (or raises :class:`WireError` with the path of the fault) and
back. Dataclass fields name theirs in ``Annotated``; :func:`record` makes the codec of the whole dataclass from them.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

MAX_ID = 2**63 - 1
"""Ids are PostgreSQL ``bigint``."""

_MAX_DEPTH = 12
_MAX_NODES = 20_000


class WireError(ValueError):
    """What was received is not what the protocol says. ``path`` names the field, ``reason`` is plain English."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path or 'message'}: {reason}")
        self.path = path
        self.reason = reason


@dataclasses.dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """``read(value, path)`` validates, ``write(value)`` gives plain JSON."""

    read: Callable[[object, str], T]
    write: Callable[[T], JSON]


def loads(text: str | bytes, *, limit: int) -> JSON:
    """Parse JSON of at most ``limit`` bytes; refuses NaN, Infinity and absurd nesting with :class:`WireError`."""
    size = len(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else len(text)
    if size > limit:
        raise WireError("", f"longer than {limit} bytes")
    try:
        value: JSON = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise WireError("", "not valid JSON") from None
    return value


def _no_constant(name: str) -> object:
    raise ValueError(name)


def dumps(value: JSON) -> str:
    """Canonical JSON: sorted keys, no spaces, real characters. The same value always gives the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def clean_text(value: str) -> str:
    """Replace what neither UTF-8 nor PostgreSQL can hold: lone surrogates and NUL become U+FFFD."""
    return value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd") if _dirty(value) else value


def _dirty(value: str) -> bool:
    return "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value)


def text(maximum: int, *, minimum: int = 0) -> Codec[str]:
    """Text of ``minimum``..``maximum`` characters."""

    def read(value: object, path: str) -> str:
        if not isinstance(value, str):
            raise WireError(path, "must be text")
        if not minimum <= len(value) <= maximum:
            raise WireError(path, f"must have {minimum} to {maximum} characters")
        return clean_text(value)

    return Codec(read, lambda value: value)


def integer(minimum: int, maximum: int) -> Codec[int]:
    def read(value: object, path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise WireError(path, "must be a whole number")
        if not minimum <= value <= maximum:
            raise WireError(path, f"must be between {minimum} and {maximum}")
        return value

    return Codec(read, lambda value: value)


def _read_boolean(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise WireError(path, "must be true or false")
    return value


boolean: Codec[bool] = Codec(_read_boolean, lambda value: value)


def identifier() -> Codec[int]:
    """A positive ``bigint``."""
    return integer(1, MAX_ID)


def choice(enumeration: type[E]) -> Codec[E]:
    def read(value: object, path: str) -> E:
        try:
            return enumeration(str(value))
        except ValueError:
            raise WireError(path, "must be one of " + ", ".join(enumeration)) from None

    return Codec(read, lambda value: str(value))


def fixed_bytes(length: int) -> Codec[bytes]:
    """Exactly ``length`` bytes, base64 on the wire (RFC 4648 §4)."""

    def read(value: object, path: str) -> bytes:
        if not isinstance(value, str) or len(value) > 4 * length:
            raise WireError(path, "must be base64 text")
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise WireError(path, "must be base64 text") from None
        if len(raw) != length:
            raise WireError(path, f"must be {length} bytes")
        return raw

    return Codec(read, lambda value: base64.b64encode(value).decode("ascii"))


def _read_instant(value: object, path: str) -> datetime:
    if not isinstance(value, str) or len(value) > 40:
        raise WireError(path, "must be a time")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise WireError(path, "must be a time") from None
    if moment.tzinfo is None:
        raise WireError(path, "must name its time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise WireError(path, "must be a time") from None


instant: Codec[datetime] = Codec(_read_instant, lambda value: value.astimezone(UTC).isoformat())


def optional(inner: Codec[T]) -> Codec[T | None]:
    return Codec(
        lambda value, path: None if value is None else inner.read(value, path),
        lambda value: None if value is None else inner.write(value),
    )


def sequence(inner: Codec[T], maximum: int) -> Codec[tuple[T, ...]]:
    def read(value: object, path: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise WireError(path, "must be a list")
        if len(value) > maximum:
            raise WireError(path, f"must have at most {maximum} items")
        return tuple(inner.read(item, f"{path}[{index}]") for index, item in enumerate(value))

    return Codec(read, lambda values: [inner.write(item) for item in values])


def string_map(key: Codec[str], inner: Codec[T], maximum: int) -> Codec[Mapping[str, T]]:
    def read(value: object, path: str) -> Mapping[str, T]:
        if not isinstance(value, dict):
            raise WireError(path, "must be an object")
        if len(value) > maximum:
            raise WireError(path, f"must have at most {maximum} entries")
        return {key.read(name, path): inner.read(item, f"{path}.{name[:40]}") for name, item in value.items()}

    return Codec(read, lambda values: {name: inner.write(item) for name, item in values.items()})


def json_object(maximum_bytes: int) -> Codec[Mapping[str, JSON]]:
    """Any JSON object of at most ``maximum_bytes`` (as canonical JSON), not nested deeper than 12."""

    def read(value: object, path: str) -> Mapping[str, JSON]:
        if not isinstance(value, dict):
            raise WireError(path, "must be an object")
        budget = [_MAX_NODES]
        cleaned = {clean_text(str(name)): _clean(item, path, 1, budget) for name, item in value.items()}
        if len(dumps(cleaned).encode()) > maximum_bytes:
            raise WireError(path, f"longer than {maximum_bytes} bytes")
        return cleaned

    return Codec(read, lambda value: dict(value))


def clean_json(value: object, path: str) -> JSON:
    """A bounded, database-safe copy of a parsed JSON value; :class:`WireError` when too deep or too large."""
    return _clean(value, path, 1, [_MAX_NODES])


def _clean(value: object, path: str, depth: int, budget: list[int]) -> JSON:
    budget[0] -= 1
    if depth > _MAX_DEPTH or budget[0] < 0:
        raise WireError(path, "nested too deeply or too large")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(name)): _clean(item, path, depth + 1, budget) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item, path, depth + 1, budget) for item in value]
    return _clean_scalar(value, path)


def _clean_scalar(value: object, path: str) -> JSON:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= MAX_ID:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise WireError(path, "not a JSON value")


_CODECS: dict[type[Any], Mapping[str, Codec[Any]]] = {}


def _codecs(cls: type[Any]) -> Mapping[str, Codec[Any]]:
    if cls not in _CODECS:
        hints = get_type_hints(cls, include_extras=True)
        _CODECS[cls] = {field.name: _codec_of(cls, field.name, hints[field.name]) for field in dataclasses.fields(cls)}
    return _CODECS[cls]


def _codec_of(cls: type[Any], name: str, hint: object) -> Codec[Any]:
    if get_origin(hint) is Annotated:
        for extra in get_args(hint)[1:]:
            if isinstance(extra, Codec):
                return extra
    raise TypeError(f"{cls.__name__}.{name} has no codec")


def record(cls: type[T]) -> Codec[T]:
    """The codec of a dataclass all of whose fields are ``Annotated[type, codec]``.

    A missing field takes the dataclass's default where it has one; fields this version does not know are ignored.
    """
    return Codec(lambda value, path: read_record(cls, value, path), write_record)


def read_record(cls: type[T], value: object, path: str) -> T:
    if not isinstance(value, dict):
        raise WireError(path, "must be an object")
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # T is a dataclass; typing cannot say so
        where = f"{path}.{field.name}" if path else field.name
        if field.name in value:
            arguments[field.name] = _codecs(cls)[field.name].read(value[field.name], where)
        elif field.default is dataclasses.MISSING:
            raise WireError(where, "is missing")
    return cls(**arguments)


def write_record(value: object) -> dict[str, JSON]:
    return {name: codec.write(getattr(value, name)) for name, codec in _codecs(type(value)).items()}

"""Typed, bounded reading of what was typed.

    form = Form(data)                      # or the handler keyword ``form: Form``
    title = form.text("title", limit=200)
    level = form.choice("impact", Impact)
    if not form.ok:
        return page(request, "tickets/new.html", form=form, status_code=422)

Each reader returns a usable value of its type even when the field is refused, and keeps the refusal; ``form.check()``
raises the first one. In templates ``form.value("title")`` is what was typed, ``form.error("title")`` why it is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from compagnon.errors import Invalid
from compagnon.i18n import N_, gettext

E = TypeVar("E", bound=StrEnum)
FIELDS_LIMIT = 500
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
TRUE = frozenset({"on", "true", "1", "yes"})


class Form:
    """What a form, or a query string, holds; ``initial`` is shown where nothing was typed yet."""

    def __init__(self, data: Mapping[str, Any] | None = None, *, initial: Mapping[str, Any] | None = None) -> None:
        self._data = {name: _as_list(value) for name, value in list((data or {}).items())[:FIELDS_LIMIT]}
        self._initial = dict(initial or {})
        self.refusals: dict[str, Invalid] = {}

    # reading

    def text(self, name: str, *, limit: int = 200, required: bool = True, minimum: int = 0) -> str:
        """One line: NFC, inner white space collapsed. Refused: empty, too short or long, control characters."""
        return self._text(name, " ".join(self._raw(name).split()), limit, required, minimum)

    def lines(self, name: str, *, limit: int = 20_000, required: bool = True) -> str:
        """Several lines, each ended by a newline alone, outer white space removed."""
        return self._text(name, self._raw(name).replace("\r\n", "\n").strip(), limit, required, 0)

    def secret(self, name: str, *, limit: int = 256) -> str:
        """As typed, not even trimmed (passwords). Never shown again."""
        raw = self._data.pop(name, [""])[0]
        if not raw or len(raw) > limit or "\x00" in raw:
            self.refuse(name, N_("Please fill this in.") if not raw else N_("This is too long."))
            return ""
        return raw

    def integer(self, name: str, *, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
        return self._integer(name, minimum, maximum, required=True) or minimum

    def optional_integer(self, name: str, *, minimum: int = 0, maximum: int = 2**31 - 1) -> int | None:
        """None when nothing was typed."""
        return self._integer(name, minimum, maximum, required=False)

    def identity(self, name: str) -> int:
        """A row's id (1 … 2⁶³-1)."""
        return self._integer(name, 1, 2**63 - 1, required=True) or 0

    def optional_identity(self, name: str) -> int | None:
        return self._integer(name, 1, 2**63 - 1, required=False)

    def choice(self, name: str, kind: type[E], *, default: E | None = None) -> E:
        """A member of a StrEnum; ``default`` where nothing was chosen."""
        raw = self._raw(name).strip()
        if not raw and default is not None:
            return default
        try:
            return kind(raw)
        except ValueError:
            self.refuse(name, N_("Please choose one of the list."))
            return default or next(iter(kind))

    def one_of(self, name: str, known: Iterable[str], *, default: str = "") -> str:
        raw = self._raw(name).strip() or default
        if raw in set(known):
            return raw
        self.refuse(name, N_("Please choose one of the list."))
        return default

    def many(self, name: str, *, limit: int = 100, length: int = 200) -> tuple[str, ...]:
        """All values of a repeated field, empty ones left out."""
        values = tuple(value.strip() for value in self._data.get(name, []) if value.strip())
        if len(values) > limit or any(len(value) > length or CONTROL.search(value) for value in values):
            self.refuse(name, N_("There are too many values here, or one is too long."))
            return ()
        return values

    def flag(self, name: str) -> bool:
        """A checkbox."""
        return self._raw(name).lower() in TRUE

    def moment(self, name: str) -> datetime | None:
        """A date and time with its offset (ISO 8601), or None."""
        raw = self._raw(name).strip()
        if not raw:
            return None
        try:
            value = datetime.fromisoformat(raw)
            if value.tzinfo is not None:
                return value
        except ValueError:
            pass
        self.refuse(name, N_("Please give a date and a time."))
        return None

    def day(self, name: str, *, required: bool = False) -> date | None:
        """A date (ISO 8601), or None."""
        raw = self._raw(name).strip()
        if not raw and not required:
            return None
        try:
            return date.fromisoformat(raw)
        except ValueError:
            self.refuse(name, N_("Please give a date."))
            return None

    # refusing

    def refuse(self, name: str, message: str | Invalid, /, **params: object) -> None:
        """Keep the first refusal of a field ("" for the form as a whole)."""
        error = message if isinstance(message, Invalid) else Invalid(message, field=name, **params)
        self.refusals.setdefault(name, error)

    def refuse_with(self, error: Invalid) -> None:
        """Show a service's refusal at its field."""
        self.refuse(error.field or "", error)

    @property
    def ok(self) -> bool:
        return not self.refusals

    def check(self) -> None:
        """Raises the first refusal."""
        for error in self.refusals.values():
            raise error

    # showing

    def value(self, name: str) -> str:
        if name in self._data:
            return self._data[name][0]
        initial = self._initial.get(name, "")
        return "" if initial is None else str(initial)

    def values(self, name: str) -> tuple[str, ...]:
        if name in self._data:
            return tuple(self._data[name])
        return tuple(str(value) for value in _as_list(self._initial.get(name, [])))

    def error(self, name: str) -> str:
        """The refusal in the reader's language, or ""."""
        error = self.refusals.get(name)
        return gettext(error.message, **error.params) if error else ""

    # inside

    def _raw(self, name: str) -> str:
        return self._data.get(name, [""])[0]

    def _text(self, name: str, raw: str, limit: int, required: bool, minimum: int) -> str:
        value = unicodedata.normalize("NFC", raw)
        if not value and required:
            self.refuse(name, N_("Please fill this in."))
        elif len(value) > limit:
            self.refuse(name, N_("This is too long: {limit} characters at most."), limit=limit)
        elif value and len(value) < minimum:
            self.refuse(name, N_("This is too short: {minimum} characters at least."), minimum=minimum)
        elif CONTROL.search(value):
            self.refuse(name, N_("This holds characters that cannot be shown."))
        else:
            return value
        return ""

    def _integer(self, name: str, minimum: int, maximum: int, *, required: bool) -> int | None:
        raw = self._raw(name).strip()
        if not raw and not required:
            return None
        if re.fullmatch(r"-?[0-9]{1,19}", raw) and minimum <= int(raw) <= maximum:
            return int(raw)
        message = N_("Please give a whole number from {minimum} to {maximum}.")
        self.refuse(name, message, minimum=minimum, maximum=maximum)
        return None


def _as_list(value: object) -> list[str]:
    if isinstance(value, (list, tuple, set)):
        return [item if isinstance(item, str) else str(item) for item in value]
    return [value if isinstance(value, str) else str(value)]

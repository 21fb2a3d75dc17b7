"""Errors that a person may see.

Every message is an English msgid with ``{named}`` fields; the web layer and the CLI translate it and fill the fields.
Mark the literals with ``N_`` (or pass them straight to these classes: the extractor knows the names).
"""

from __future__ import annotations

from typing import ClassVar


class AppError(Exception):
    """A refusal with a reason. ``message`` is a msgid, ``params`` its fields, ``status`` the HTTP status (RFC 9110)."""

    status: ClassVar[int] = 400

    def __init__(self, message: str, /, **params: object) -> None:
        super().__init__(message)
        self.message = message
        self.params = params

    def __str__(self) -> str:
        return self.message.format(**self.params) if self.params else self.message


class NotFound(AppError):
    status = 404


class Forbidden(AppError):
    status = 403


class Conflict(AppError):
    """Somebody else was first, or the thing is no longer in the state the request assumed."""

    status = 409


class Invalid(AppError):
    """The input is refused. ``field`` names the form field at fault, when there is one."""

    status = 422

    def __init__(self, message: str, /, *, field: str | None = None, **params: object) -> None:
        super().__init__(message, **params)
        self.field = field


class TooMany(AppError):
    """A limit was reached. ``retry_after`` is in seconds (RFC 9110 §10.2.3)."""

    status = 429

    def __init__(self, message: str, /, *, retry_after: int = 60, **params: object) -> None:
        super().__init__(message, **params)
        self.retry_after = retry_after


class Unavailable(AppError):
    status = 503

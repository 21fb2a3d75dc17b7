"""What is accepted: types, lengths and ranges, with one clear sentence for each refusal."""

from __future__ import annotations

import re
import uuid

import psycopg.errors

from compagnon.auth.model import NAME_LIMIT, PHONE_LIMIT
from compagnon.errors import AppError, Invalid, NotFound
from compagnon.i18n import N_
from tickets.desk.model import (
    ID_LIMIT,
    MESSAGE_LIMIT,
    MINUTES_LIMIT,
    REASON_LIMIT,
    SYMPTOM_LIMIT,
    TITLE_LIMIT,
    NewTicket,
)

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
TOO_LONG = N_("This is too long: {limit} characters at most.")
CANNOT_BE_SHOWN = N_("This holds characters that cannot be shown.")
NO_KEY = N_("The form has lost its mark. Please open the page again.")
REFERENCES = {
    "tickets_client_id_fkey": ("client_id", N_("There is no such client.")),
    "tickets_site_id_fkey": ("site_id", N_("There is no such site.")),
    "tickets_machine_id_fkey": ("machine_id", N_("There is no such machine.")),
    "tickets_owner_id_fkey": ("owner_id", N_("There is no such member.")),
    "tickets_skill_fkey": ("skill", N_("There is no such skill.")),
    "tickets_follows_id_fkey": ("follows_id", N_("There is no such ticket.")),
}


def identity(value: int, message: str) -> int:
    """An id that a bigint holds. Raises NotFound with ``message`` (field ``id``)."""
    if not 1 <= value <= ID_LIMIT:
        raise NotFound(message, id=value)
    return value


def check_text(text: str, limit: int, field: str, *, required: bool = True) -> None:
    if required and not text.strip():
        raise Invalid(N_("Please fill this in."), field=field)
    if len(text) > limit:
        raise Invalid(TOO_LONG, field=field, limit=limit)
    if CONTROL.search(text):
        raise Invalid(CANNOT_BE_SHOWN, field=field)


def check_title(title: str) -> None:
    check_text(title, TITLE_LIMIT, "title")


def check_message(body: str) -> None:
    check_text(body, MESSAGE_LIMIT, "body")


def check_reason(reason: str) -> None:
    check_text(reason, REASON_LIMIT, "reason", required=False)


def check_minutes(minutes: int) -> None:
    if not 1 <= minutes <= MINUTES_LIMIT:
        raise Invalid(
            N_("Please give a whole number from {minimum} to {maximum}."),
            field="minutes",
            minimum=1,
            maximum=MINUTES_LIMIT,
        )


def check_key(key: str | None) -> None:
    """A form's mark is a UUID in text, or nothing."""
    if key is None:
        return
    try:
        uuid.UUID(key)
    except ValueError:
        raise Invalid(NO_KEY, field="request_key") from None


def check_new(new: NewTicket) -> None:
    check_title(new.title)
    check_text(new.symptom, SYMPTOM_LIMIT, "symptom", required=False)
    check_text(new.caller_name, NAME_LIMIT, "caller_name", required=False)
    check_text(new.caller_phone, PHONE_LIMIT, "caller_phone", required=False)
    check_key(new.request_key)


def unknown_reference(error: psycopg.errors.ForeignKeyViolation) -> AppError:
    """The refusal for a row that refers to nothing, by the constraint's name."""
    field, message = REFERENCES.get(error.diag.constraint_name or "", ("", N_("Something this refers to is gone.")))
    return Invalid(message, field=field)

"""Reading what was typed or imported as an article's content: trimmed, bounded, refused where it cannot be kept."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from compagnon.errors import Invalid
from compagnon.i18n import N_
from kb.articles.model import (
    CODE_LENGTH,
    CODES_LIMIT,
    LICENCE_LIMIT,
    REVIEW_EVERY_LIMIT,
    SOLUTIONS_LIMIT,
    SYSTEMS,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    Content,
    Solution,
)

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_URL = re.compile(r"https?://[^\s<>\"'\\]+")


def clean(content: Content) -> Content:
    """The content as it is kept: unix line ends, NFC, no empty solution, nothing twice. Raises Invalid (``field``)."""
    return Content(
        title=line("title", content.title, TITLE_LIMIT, required=True),
        condition=text("condition", content.condition),
        solutions=_solutions(content.solutions),
        error_codes=values("error_codes", content.error_codes),
        applies_to=values("applies_to", content.applies_to),
        os=tuple(one for one in SYSTEMS if one in content.os),
        skills=values("skills", content.skills),
        procedures=values("procedures", content.procedures),
        known_error=content.known_error,
        workaround=text("workaround", content.workaround),
        licence=line("licence", content.licence, LICENCE_LIMIT),
        source_name=line("source_name", content.source_name, LICENCE_LIMIT),
        source_url=_url(content.source_url),
        review_every=_months(content.review_every),
    )


def line(field: str, raw: str, limit: int, *, required: bool = False) -> str:
    """One line, inner white space collapsed."""
    value = _bounded(field, " ".join(raw.split()), limit)
    if required and not value:
        raise Invalid(N_("Please fill this in."), field=field)
    return value


def text(field: str, raw: str, limit: int = TEXT_LIMIT) -> str:
    """Several lines with unix ends, outer empty lines removed."""
    return _bounded(field, raw.replace("\r\n", "\n").replace("\r", "\n").strip(), limit)


def _bounded(field: str, raw: str, limit: int) -> str:
    if _CONTROL.search(raw):
        raise Invalid(N_("This holds characters that cannot be shown."), field=field)
    value = unicodedata.normalize("NFC", raw)
    if len(value) > limit:
        raise Invalid(N_("This is too long: {limit} characters at most."), field=field, limit=limit)
    return value


def values(field: str, raw: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(filter(None, (line(field, one, CODE_LENGTH) for one in raw))))
    if len(found) > CODES_LIMIT:
        raise Invalid(N_("There are too many values here: {limit} at most."), field=field, limit=CODES_LIMIT)
    return found


def _solutions(raw: Iterable[Solution]) -> tuple[Solution, ...]:
    pairs = (Solution(cause=text("cause", one.cause), remedy=text("remedy", one.remedy)) for one in raw)
    found = tuple(pair for pair in pairs if pair.cause or pair.remedy)
    if len(found) > SOLUTIONS_LIMIT:
        message = N_("There are too many causes here: {limit} at most. Make several articles of them.")
        raise Invalid(message, field="cause", limit=SOLUTIONS_LIMIT)
    return found


def _url(raw: str) -> str:
    value = line("source_url", raw, URL_LIMIT)
    if value and not _URL.fullmatch(value):
        raise Invalid(N_("This is not a web address."), field="source_url")
    return value


def _months(value: int) -> int:
    if not 1 <= value <= REVIEW_EVERY_LIMIT:
        message = N_("Please give a whole number from {minimum} to {maximum}.")
        raise Invalid(message, field="review_every", minimum=1, maximum=REVIEW_EVERY_LIMIT)
    return value

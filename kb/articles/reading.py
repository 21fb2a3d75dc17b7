"""What the editor's form says, as an article's content; and the other way round where two versions differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from compagnon.i18n import N_
from compagnon.markup.differences import Piece, pieces
from compagnon.web.forms import Form
from kb.articles.model import Content, Solution, columns
from kb.articles.words import FIELDS

_CODES = re.compile(r"[\s,;]+")


def content_of(form: Form) -> Content:
    """As typed: bounded and cleaned when it is kept, shown again when it is refused."""
    pairs = zip_longest(form.values("cause"), form.values("remedy"), fillvalue="")
    months = form.value("review_every").strip()
    return Content(
        title=form.value("title"),
        condition=form.value("condition"),
        solutions=tuple(Solution(cause=cause, remedy=remedy) for cause, remedy in pairs),
        error_codes=tuple(form.value("error_codes").splitlines()),
        applies_to=form.values("applies_to"),
        os=form.values("os"),
        skills=form.values("skills"),
        procedures=tuple(filter(None, _CODES.split(form.value("procedures")))),
        known_error=form.flag("known_error"),
        workaround=form.value("workaround"),
        licence=form.value("licence"),
        source_name=form.value("source_name"),
        source_url=form.value("source_url"),
        review_every=int(months) if re.fullmatch(r"[0-9]{1,3}", months) else 0 if months else 12,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One part that differs, side by side. ``label`` is a msgid; ``number`` counts the causes, else None."""

    label: str
    number: int | None
    before: str
    after: str
    prose: bool
    pieces: Sequence[Piece]


def differences(before: Content, after: Content) -> list[Difference]:
    """Every part of the content that differs, in the order in which it is read."""
    found = [_plain(name, label, before, after) for name, label in FIELDS.items()]
    pairs = zip_longest(before.solutions, after.solutions, fillvalue=Solution())
    for number, (old, new) in enumerate(pairs, 1):
        found.append(_difference(N_("Cause"), old.cause, new.cause, number=number, prose=True))
        found.append(_difference(N_("Remedy"), old.remedy, new.remedy, number=number, prose=True))
    return [one for one in found if one.before != one.after]


def _plain(name: str, label: str, before: Content, after: Content) -> Difference:
    old, new = (_words(columns(one)[name]) for one in (before, after))
    return _difference(label, old, new, prose=name in {"condition", "workaround"})


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return {True: "✓", False: "—"}[value] if isinstance(value, bool) else str(value)


def _difference(label: str, before: str, after: str, *, number: int | None = None, prose: bool = False) -> Difference:
    return Difference(label=label, number=number, before=before, after=after, prose=prose, pieces=pieces(before, after))

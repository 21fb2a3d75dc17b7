"""The signs that a question may hold beside its words: ``-word``, ``title:word``, ``type:article`` and their like.

Whatever is not understood stays a word. Nothing is ever refused, and every surprise is a notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from compagnon.i18n import N_
from kb.search.analysis import fold
from kb.search.model import STATES, SYSTEMS, Filters, Reason

MAX_SIGNS = 12  # exclusions, restrictions and filters of one question; further ones are words
MAX_VALUE = 64  # characters of a filter's value
QUOTES = '"«»“”'
NO_VALUE = N_("“{value}” is no value of the filter {name}: it was left out.")
UNCLOSED = N_("A quotation mark is not closed: its words were searched in any order.")
ONLY_EXCLUDED = N_("Only words to leave out, or filters: please add a word to search for.")
HELP = (
    ("imprimante -scanner", N_("without documents that hold the word after the minus sign")),
    ("titre:imprimante", N_("only where the title holds it; code: for error codes and commands")),
    ("imprimante type:procédure os:windows", N_("only these: type, os, env, skill, lang and state, as in the filters")),
)
"""Examples for the help card, each with what it does (a msgid)."""

_FIELDS = {"title": "title", "titre": "title", "code": "identifiers"}
_FILTERS = {
    "type": "kinds",
    "env": "environments",
    "environment": "environments",
    "environnement": "environments",
    "os": "os",
    "lang": "locales",
    "langue": "locales",
    "skill": "skills",
    "competence": "skills",
    "state": "states",
    "etat": "states",
}
_KINDS = {
    "procedure": "procedure",
    "article": "article",
    "environment": "environment",
    "environnement": "environment",
    "ticket": "ticket",
    "client": "client",
    "machine": "machine",
    "poste": "machine",
    "membre": "member",
    "member": "member",
    "enregistrement": "transcript",
    "transcript": "transcript",
}
_SYSTEMS = {"win": "windows", "mac": "macos", "osx": "macos", "debian": "linux", "ubuntu": "linux"}
_LOCALES = {"fr": "fr", "francais": "fr", "french": "fr", "en": "en", "anglais": "en", "english": "en"}
_STATES = {
    "publie": "published",
    "publiee": "published",
    "connu": "known-error",
    "connue": "known-error",
    "erreur-connue": "known-error",
    "perime": "stale",
    "perimee": "stale",
    "a-revoir": "stale",
}
# A sign stands at the beginning of a word. No exclusion are a doubled minus (--force), a number (-2147467259), and a
# minus at the very beginning: there it is the dash of a list that was pasted.
_SIGN = re.compile(
    r'(?<!\S)(?P<minus>(?<=\s)[-−–](?=[^\W\d_]{2}|["«“]))?(?:(?P<name>[^\W\d_]{2,13}):(?=\S))?'
    r'(?P<value>["«“][^"«»“”]{1,200}["»”]|\S+)'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """``plain`` is the text with every sign blanked: as long as the text, so that places stay true.

    ``restricted``: stretches of ``plain`` and the field where their words must stand.
    """

    plain: str
    excluded: tuple[str, ...] = ()
    restricted: tuple[tuple[int, int, str], ...] = ()
    filters: Filters = Filters()
    notices: tuple[Reason, ...] = ()


def read(text: str, *, typing: bool = False) -> Signs:
    """Read the signs of a cleaned question. ``typing``: an open quotation mark is not yet a mistake."""
    reader = _Reader(text)
    for match in _found(text):
        reader.take(match)
    if not typing:
        reader.notices.extend(unclosed(text))
    return reader.signs()


def unclosed(text: str) -> tuple[Reason, ...]:
    """What to say of a quotation mark without its other half."""
    return (Reason(message=UNCLOSED),) if sum(text.count(sign) for sign in '"“”') % 2 else ()


def narrowed(filters: Filters, more: Filters) -> Filters:
    """Both at once: a value must be in each of the two where both say something."""
    merged: dict[str, tuple[str, ...]] = {}
    for each in fields(Filters):
        one, other = getattr(filters, each.name), getattr(more, each.name)
        both = tuple(value for value in one if value in other) or ("\0",)  # nothing has this value
        merged[each.name] = both if one and other else one or other
    return Filters(**merged)


def _found(text: str) -> Iterator[re.Match[str]]:
    taken = 0
    for match in _SIGN.finditer(text):
        if (match["minus"] or match["name"]) and taken < MAX_SIGNS:
            taken += 1
            yield match


class _Reader:
    def __init__(self, text: str) -> None:
        self._plain = text
        self._excluded: list[str] = []
        self._restricted: list[tuple[int, int, str]] = []
        self._filters: dict[str, dict[str, None]] = {}
        self.notices: list[Reason] = []

    def take(self, match: re.Match[str]) -> None:
        name = fold(match["name"] or "")
        if match["minus"]:
            self._excluded.append(match.group()[1:].strip(QUOTES))
            self._blank(*match.span())
        elif name in _FIELDS:
            self._restricted.append((*match.span("value"), _FIELDS[name]))
            self._blank(match.start(), match.start("value"))
        elif name in _FILTERS:
            self._filter(name, match["value"].strip(QUOTES).strip()[:MAX_VALUE])
            self._blank(*match.span())

    def _filter(self, name: str, raw: str) -> None:
        field = _FILTERS[name]
        if value := _value(field, fold(raw)):
            self._filters.setdefault(field, {})[value] = None
        else:
            self.notices.append(Reason(message=NO_VALUE, params={"value": raw, "name": name}))

    def _blank(self, start: int, end: int) -> None:
        self._plain = self._plain[:start] + " " * (end - start) + self._plain[end:]

    def signs(self) -> Signs:
        return Signs(
            plain=self._plain,
            excluded=tuple(self._excluded),
            restricted=tuple(self._restricted),
            filters=Filters(**{name: tuple(values) for name, values in self._filters.items()}),
            notices=tuple(self.notices),
        )


def _value(field: str, folded: str) -> str:
    """The code that is meant; empty when there is none such."""
    if field == "kinds":
        return _KINDS.get(folded) or _KINDS.get(folded.removesuffix("s"), "")
    if field == "locales":
        return _LOCALES.get(folded, "")
    if field == "os":
        return folded if folded in SYSTEMS else _SYSTEMS.get(folded, "")
    if field == "states":
        return folded if folded in STATES else _STATES.get(folded, "")
    return folded

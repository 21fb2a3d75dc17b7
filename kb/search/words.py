"""The words of the results page for what documents are marked with. All are msgids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from compagnon.auth import skill_words
from compagnon.i18n import N_, formats, gettext

FACET_LABELS = {
    "kind": N_("Kind"),
    "environment": N_("Standard environment"),
    "os": N_("System"),
    "skill": N_("Skill"),
    "locale": N_("Language"),
    "state": N_("State"),
}
SINGULAR = {"procedure": N_("Procedure"), "environment": N_("Standard environment"), "article": N_("Article")}
"""What one document of a kind is called; other kinds by their plural."""
SYSTEMS = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}
LANGUAGES = {"fr": N_("French"), "en": N_("English")}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    label: str
    tone: str


STATES: Mapping[str, State] = {
    "known-error": State(label=N_("known error"), tone="info"),
    "stale": State(label=N_("review overdue"), tone="warning"),
}
"""What is worth a mark on a hit; a published document without further ado has none."""
STATE_LABELS = {**{code: state.label for code, state in STATES.items()}, "published": N_("published")}


def day(iso: str) -> str:
    """An ISO date as the reader's language writes it; the text itself when it is none."""
    try:
        return formats.date(date.fromisoformat(iso))
    except ValueError:
        return iso


def value_label(facet: str, value: str, kinds: Mapping[str, tuple[str, str]]) -> str:
    """A facet's value as people say it; codes that nobody knows stand for themselves."""
    if facet == "kind" and value in kinds:
        return gettext(kinds[value][0])
    if facet == "skill":
        return str(skill_words.label(value))
    known = {"os": SYSTEMS, "locale": LANGUAGES, "state": STATE_LABELS}.get(facet, {})
    return gettext(known[value]) if value in known else value

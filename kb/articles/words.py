"""The words that pages show for the values of articles."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

from compagnon.i18n import N_

STATES: Mapping[str, str] = {
    "published": N_("Published"),
    "open": N_("Drafts and reviews"),
    "withdrawn": N_("Withdrawn"),
    "draft": N_("Draft"),
    "in_review": N_("In review"),
    "superseded": N_("Superseded"),
    "discarded": N_("Discarded"),
}
TONES: Mapping[str, str] = {"in_review": "info", "published": "success", "withdrawn": "danger"}
STALE: Mapping[str, str] = {
    "due": N_("Its review is due."),
    "environment": N_("An environment it applies to has changed since its last review, or is no longer in force."),
    "unhelpful": N_("Since its last review it mostly did not help."),
    "gone": N_("It is no longer at its source."),
    "changed": N_("Its source has changed, and so have we."),
}
LACKS: Mapping[str, str] = {
    "condition": N_("Say what is observed: the condition."),
    "remedy": N_("Say what mends it: a remedy."),
    "workaround": N_("A known error needs its workaround."),
}
SYSTEMS: Mapping[str, str] = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}
LANGUAGES: Mapping[str, str] = {"fr": "Français", "en": "English"}
FIELDS: Mapping[str, str] = {
    "title": N_("Title"),
    "condition": N_("Condition"),
    "error_codes": N_("Error codes"),
    "applies_to": N_("Environments"),
    "os": N_("Systems"),
    "skills": N_("Skills"),
    "procedures": N_("Procedures"),
    "known_error": N_("Known error"),
    "workaround": N_("Workaround"),
    "licence": N_("Licence"),
    "source_name": N_("Source"),
    "source_url": N_("Address of the source"),
    "review_every": N_("Review every (months)"),
}

WORDS = SimpleNamespace(
    states=STATES, tones=TONES, stale=STALE, lacks=LACKS, systems=SYSTEMS, languages=LANGUAGES, fields=FIELDS
)

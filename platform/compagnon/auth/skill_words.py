"""Skills as people call them, for templates: procedures and tickets keep the short name (``reseau``), pages show
the label (“Réseau”). The labels are remembered from the database when the server starts and at each reading of the
list; a name nobody knows is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compagnon.auth.model import SkillName
from compagnon.i18n import current_locale

_labels: dict[str, dict[str, str]] = {}


def remember(locale: str, skills: Sequence[SkillName]) -> None:
    _labels[locale] = {skill.name: skill.label for skill in skills}


def label(name: str) -> str:
    return _labels.get(current_locale(), {}).get(name, name)


def named(params: Mapping[str, object]) -> dict[str, object]:
    """A reason's params with its ``skill``, if it has one, as people call it."""
    return {key: label(value) if key == "skill" and isinstance(value, str) else value for key, value in params.items()}

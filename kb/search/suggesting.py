"""From ranked documents to suggestions: what the environment and the language add, one document per procedure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kb.search.engine import Ranked
from kb.search.model import Document

# Factors on the text score. A procedure for another environment may still help (the same printer), so it is not hidden.
WEIGHTS = {"same": 1.25, "other": 0.5, "none": 1.0}


def adjusted(
    ranked: Sequence[Ranked],
    *,
    environment: str | None = None,
    locale: str | None = None,
    weights: Mapping[str, float] = WEIGHTS,
) -> list[Ranked]:
    """Re-rank by environment; of the languages of one document keep ``locale``'s, else the best ranked."""
    weighed = [replace(item, score=item.score * weights.get(_fit(item.document, environment), 1.0)) for item in ranked]
    families: dict[str, Ranked] = {}
    for item in sorted(weighed, key=lambda item: -item.score):
        known = families.get(item.document.family)
        if known is None:
            families[item.document.family] = item
        elif item.document.locale == locale != known.document.locale:
            families[item.document.family] = replace(item, score=known.score)
    return list(families.values())


def _fit(document: Document, environment: str | None) -> str:
    if not environment or not document.environments:
        return "none"
    return "same" if environment in document.environments else "other"

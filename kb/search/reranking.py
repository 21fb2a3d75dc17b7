"""Optional: the best documents by their words are ranked anew by what they are about. Off unless a model is given."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from compagnon.settings import SettingsError
from kb.search.engine import Ranked
from kb.search.model import Document
from kb.search.static_model import ModelError, StaticModel, Vectors

log = logging.getLogger(__name__)
TOP = 50  # documents that are ranked anew
SHARE = 0.35  # of the best text score, for a document that is about exactly the same
BODY = 1_200  # characters of a document's body that say what it is about
KEPT = 20_000  # vectors of documents kept in memory (20 MB at 256 numbers)


class Reranker(Protocol):
    def reranked(self, question: str, ranked: Sequence[Ranked]) -> list[Ranked]:
        """The same documents, perhaps in another order, with scores to match. Blocking; a few milliseconds."""
        ...


class ByMeaning:
    """Adds to each of the best text scores a share of the likeness of the two vectors (their cosine)."""

    def __init__(self, model: StaticModel) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, int], Vectors] = OrderedDict()

    def reranked(self, question: str, ranked: Sequence[Ranked]) -> list[Ranked]:
        """See Reranker. Documents that hold none of the words keep their place behind."""
        best, rest = ranked[:TOP], ranked[TOP:]
        asked = self._model.vector(question)
        if not best or not asked.any():
            return list(ranked)
        top = best[0].score
        vectors = np.stack([self._vector(item.document) for item in best])
        likeness = np.clip(vectors @ asked, 0.0, 1.0)
        gained = [
            replace(item, score=item.score + SHARE * top * float(like))
            for item, like in zip(best, likeness, strict=True)
        ]
        return [*sorted(gained, key=lambda item: -item.score), *rest]

    def _vector(self, document: Document) -> Vectors:
        text = " ".join((document.title, *document.symptoms, document.body[:BODY], *document.steps))
        key = (document.key, hash(text))
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return known
        vector = self._model.vector(text)
        with self._lock:
            self._known[key] = vector
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return vector


def reranker(folder: Path | None) -> Reranker | None:
    """The re-ranker over the model in ``folder``; None without one. Raises SettingsError when it cannot be used."""
    if folder is None:
        return None
    try:
        return ByMeaning(StaticModel(folder))
    except ModelError as error:
        raise SettingsError(f"COMPAGNON_RERANK_MODEL: {error}") from None

"""Related documents: a question made of the words that tell a document from all the others.

Words are taken by tf · idf, as a relevance model does it (RM3, Lavrenko and Croft 2001, restricted to one document).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from kb.search.analysis import tokens
from kb.search.model import Document
from kb.search.question import Question, Term, Word

TELLING = 12  # words taken
CANDIDATES = 60  # most frequent words whose rarity is looked up
MAX_TEXT = 20_000  # characters read of each text
TITLE = 3  # a word of the title counts as often
Frequencies = Callable[[Sequence[str]], Sequence[int]]


def question(document: Document, frequencies: Frequencies, total: int) -> Question:
    """The most telling words of ``document`` as a question; ``frequencies`` says how many documents hold each term."""
    counts = Counter(_terms(document))
    common = [term for term, _ in counts.most_common(CANDIDATES)]
    scores = {
        term: (1 + math.log(counts[term])) * _idf(held, total)
        for term, held in zip(common, frequencies(common), strict=True)
        if held > 1  # nothing else holds what only this document does
    }
    best = sorted(scores, key=lambda term: -scores[term])[:TELLING]
    most = scores[best[0]] if best else 1.0
    return Question(words=tuple(Word((Term(term, weight=scores[term] / most),), text=term) for term in best))


def _terms(document: Document) -> Iterator[str]:
    weighted = [(document.title, TITLE), *((text, 2) for text in document.symptoms)]
    weighted += [(text, 1) for text in (*document.identifiers, *document.steps, document.body)]
    for text, times in weighted:
        for token in tokens(text[:MAX_TEXT], document.locale):
            if len(token.term) > 2 and not token.term.isdigit():
                for _ in range(times):
                    yield token.term


def _idf(held: int, total: int) -> float:
    return math.log(1 + (total - held + 0.5) / (held + 0.5)) if held <= total else 0.0

"""What members do with articles: write, review, publish, find, say whether they helped, attach files."""

from __future__ import annotations

from kb.articles.importing import Importing


class Articles(Importing):
    """All of it; the use cases are in the classes this is made of, one file each."""

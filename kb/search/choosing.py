"""Which library keeps the index: Whoosh, or tantivy where it is chosen and installed."""

from __future__ import annotations

from pathlib import Path

from compagnon.settings import SettingsError
from kb.search.engine import SearchEngine
from kb.search.whoosh_engine import WhooshEngine

ENGINES = ("whoosh", "tantivy")
NOT_INSTALLED = (
    "COMPAGNON_SEARCH_ENGINE=tantivy: the package tantivy is not installed; install compagnon[tantivy], or leave this"
    " setting out"
)


def choose(name: str, root: Path) -> SearchEngine:
    """The engine of this name over the folder ``root``. Raises SettingsError when its package is missing."""
    if name != "tantivy":
        return WhooshEngine(root)
    try:
        from kb.search.tantivy_engine import TantivyEngine
    except ImportError as error:
        raise SettingsError(NOT_INSTALLED) from error
    return TantivyEngine(root)

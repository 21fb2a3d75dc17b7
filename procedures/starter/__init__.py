"""The starter library: the environments and procedures a new co-operative begins with.

One Markdown file per procedure and language, ``<locale>/<code>.md``, in the format of ``procedures.format``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
LOCALES = ("fr", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class StarterText:
    """One file of the library. ``code`` is the procedure's own, ``text`` the whole Markdown."""

    code: str
    locale: str
    path: Path
    text: str


def texts(*locales: str) -> Iterator[StarterText]:
    """Every text of these locales (all when none is named), environments first: procedures apply to them."""
    for locale in locales or LOCALES:
        for path in sorted((FOLDER / locale).glob("*.md"), key=lambda path: (not _is_environment(path), path.name)):
            yield StarterText(code=path.stem, locale=locale, path=path, text=path.read_text(encoding="utf-8"))


def _is_environment(path: Path) -> bool:
    return path.stem.startswith("poste-")

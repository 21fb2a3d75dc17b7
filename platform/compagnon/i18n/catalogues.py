"""The catalogues of all packages, merged and compiled in memory.

Messages carry ``{named}`` fields, in Python, templates and errors alike: ``_("{count} machines", count=3)``.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE = "en"  # the language of the msgids
TRANSLATED = ("fr",)

_locale: ContextVar[str] = ContextVar("compagnon_locale", default=SOURCE)


def N_(message: str) -> str:
    """Mark a msgid for extraction; it is translated where it is shown."""
    return message


def current_locale() -> str:
    return _locale.get()


def set_locale(locale: str) -> None:
    """The language of what this task shows from now on."""
    _locale.set(locale)


@contextmanager
def use_locale(locale: str) -> Iterator[None]:
    """Show things in ``locale`` inside the block (a mail to someone else, a job)."""
    token = _locale.set(locale)
    try:
        yield
    finally:
        _locale.reset(token)


class Catalogues:
    """Translations of the installed packages. Made once; ``install`` makes them the ones ``gettext`` uses."""

    def __init__(self, packages: Iterable[str]) -> None:
        names = tuple(packages)
        self._by_locale = {locale: _compile(_merge(names, locale)) for locale in TRANSLATED}
        self._source = NullTranslations()

    def install(self) -> Catalogues:
        global _installed
        _installed = self
        return self

    def gettext(self, locale: str, message: str) -> str:
        return self._by_locale.get(locale, self._source).gettext(message)

    def ngettext(self, locale: str, singular: str, plural: str, n: int) -> str:
        return self._by_locale.get(locale, self._source).ngettext(singular, plural, n)


def _merge(packages: Iterable[str], locale: str) -> Catalog:
    merged = Catalog(locale=locale)
    for package in packages:
        catalogue = read_package(package, locale)
        for message in catalogue or ():
            if message.id and message.string and not message.fuzzy:
                merged.add(message.id, message.string, context=message.context)
    return merged


def read_package(package: str, locale: str) -> Catalog | None:
    """A package's own catalogue, as it is in its folder; None when it has none."""
    path = files(package).joinpath("locale", locale, "LC_MESSAGES", "messages.po")
    if not path.is_file():
        return None
    return read_po(io.BytesIO(path.read_bytes()), locale=locale)


def _compile(catalogue: Catalog) -> GNUTranslations:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


_installed = Catalogues(())


def gettext(message: str, /, **fields: object) -> str:
    """``message`` in the current language, its fields filled in. Plain text: escape it as any other."""
    translated = _installed.gettext(_locale.get(), message) if message else ""
    return translated.format(**fields) if fields else translated


def ngettext(singular: str, plural: str, n: int, /, **fields: object) -> str:
    """The form for ``n`` in the current language; ``{n}`` is filled in too."""
    return choose_plural(singular, plural, n).format(n=n, **fields)


def choose_plural(singular: str, plural: str, n: int) -> str:
    """The form for ``n`` in the current language, its fields not yet filled in."""
    return _installed.ngettext(_locale.get(), singular, plural, n)

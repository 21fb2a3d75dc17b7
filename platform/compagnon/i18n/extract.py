"""Find every msgid of a package, in Python and in templates, and bring its catalogue up to date.

Used by ``scripts/messages.py`` and by the test that no message is without its French.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "toast": (2,),
    "refuse": (2,),
    # The errors' first argument is a msgid (compagnon.errors).
    **dict.fromkeys(("AppError", "NotFound", "Forbidden", "Conflict", "Invalid", "TooMany", "Unavailable"), (1,)),
}
FIELD = re.compile(r"\{([a-z_][a-z0-9_]*)\}", re.IGNORECASE)
WIDTH = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A msgid (with its plural, or ""), and where it was seen first, as path:line."""

    singular: str
    plural: str
    where: str


def package_folder(package: str) -> Path:
    return Path(str(files(package)))


def messages(package: str) -> list[Found]:
    """All msgids of a package, each once, in the order of the files."""
    found: dict[str, Found] = {}
    for path, line, message in _extracted(package_folder(package)):
        singular, plural = message if isinstance(message, tuple) else (message, "")
        if singular and (singular not in found or (plural and not found[singular].plural)):
            found[singular] = Found(singular=singular, plural=plural, where=f"{path}:{line}")
    return list(found.values())


def _extracted(folder: Path) -> Iterator[tuple[str, int, str | tuple[str, str]]]:
    for path in sorted(
        [*folder.rglob("*.py"), *folder.glob("templates/**/*.html"), *folder.glob("templates/**/*.txt")]
    ):
        method = "python" if path.suffix == ".py" else "jinja2"
        with io.BytesIO(path.read_bytes()) as content:
            for line, message, _, _ in extract(method, content, keywords=KEYWORDS, options={"silent": "false"}):
                yield path.relative_to(folder).as_posix(), line, _pair(message)


def _pair(message: object) -> str | tuple[str, str]:
    if isinstance(message, (tuple, list)):
        return str(message[0]), str(message[1])
    return str(message)


def fields(text: str) -> set[str]:
    return set(FIELD.findall(text))


def problems(package: str, locale: str = "fr") -> list[str]:
    """What is missing or wrong in a package's catalogue, a line each: untranslated, fuzzy, other fields."""
    catalogue = read_catalogue(package, locale)
    return [
        f"{package}/{found.where}: {reason}: {found.singular!r}"
        for found in messages(package)
        if (reason := _problem(found, catalogue.get(found.singular)))
    ]


def _problem(found: Found, message: Message | None) -> str:
    strings = _strings(message)
    if message is None or not strings or not all(strings):
        return "not translated"
    if message.fuzzy:
        return "marked fuzzy"
    if bool(found.plural) != (len(strings) > 1):
        return "singular and plural do not match the source"
    wanted = fields(found.singular) | fields(found.plural)
    if any(not fields(text) <= wanted for text in strings) or fields(strings[-1]) != wanted:
        return "other {fields} than the source"
    return ""


def _strings(message: Message | None) -> tuple[str, ...]:
    if message is None:
        return ()
    return tuple(message.string) if isinstance(message.string, (tuple, list)) else (str(message.string or ""),)


def catalogue_path(package: str, locale: str) -> Path:
    return package_folder(package) / "locale" / locale / "LC_MESSAGES" / "messages.po"


def read_catalogue(package: str, locale: str) -> Catalog:
    path = catalogue_path(package, locale)
    return read_po(io.BytesIO(path.read_bytes()), locale=locale) if path.is_file() else Catalog(locale=locale)


def update(package: str, locale: str) -> tuple[int, int]:
    """Add what is missing to a package's catalogue and take out what is no longer used: how many of each."""
    catalogue, found = read_catalogue(package, locale), messages(package)
    wanted = {item.singular for item in found}
    gone = [message.id for message in catalogue if message.id and _key(message) not in wanted]
    missing = [item for item in found if item.singular not in catalogue]
    for message_id in gone:
        catalogue.delete(message_id if isinstance(message_id, str) else message_id[0])
    for item in missing:
        catalogue.add((item.singular, item.plural) if item.plural else item.singular)
    if gone or missing:
        _write(catalogue_path(package, locale), catalogue)
    return len(missing), len(gone)


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _write(path: Path, catalogue: Catalog) -> None:
    content = io.BytesIO()
    write_po(content, catalogue, width=WIDTH, no_location=True, sort_output=True, omit_header=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_header(catalogue) + content.getvalue())


def _header(catalogue: Catalog) -> bytes:
    lines = (
        f"Language: {catalogue.locale}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        f"Plural-Forms: {catalogue.plural_forms}",
    )
    text = "".join(f'"{line}\\n"\n' for line in lines)
    return f'msgid ""\nmsgstr ""\n{text}\n'.encode()

"""Which files may belong to an article: judged by their own bytes, never by what the browser says."""

from __future__ import annotations

import re

from compagnon.errors import Invalid
from compagnon.i18n import N_
from compagnon.kept_files import picture_type

FILE_LIMIT = 5 * 1024 * 1024  # bytes
UPLOAD_LIMIT = FILE_LIMIT + 64 * 1024  # of the request that carries it
FILES_LIMIT = 50  # of one article
NAME_LIMIT = 120  # characters
TEXT = "text/plain"
_UNSAFE = re.compile(r"[^\w.,()+ -]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")  # ESC is in what terminals print


def checked_type(data: bytes) -> str:
    """PNG, JPEG, WebP, PDF or plain UTF-8 text. Raises Invalid for anything else, the empty and the too large."""
    if not data:
        raise Invalid(N_("Please choose a file."), field="file")
    if len(data) > FILE_LIMIT:
        raise Invalid(N_("A file has {limit} MB at most."), field="file", limit=FILE_LIMIT // 1024 // 1024)
    found = picture_type(data) or ("application/pdf" if data.startswith(b"%PDF-") else None) or _text(data)
    if found is None:
        raise Invalid(N_("Only pictures (PNG, JPEG, WebP), PDF and plain text can be kept."), field="file")
    return found


def _text(data: bytes) -> str | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else TEXT


def safe_name(raw: str) -> str:
    """A file's name without folders and without anything that means something in a header or a shell."""
    name = raw.replace("\\", "/").rpartition("/")[2]
    name = " ".join(_UNSAFE.sub("_", name).split()).strip(". ")
    stem, dot, ending = name.rpartition(".")
    if len(name) <= NAME_LIMIT or not dot:
        return name[:NAME_LIMIT] or "fichier"
    ending = ending[:12]
    return f"{stem[: NAME_LIMIT - len(ending) - 1]}.{ending}"

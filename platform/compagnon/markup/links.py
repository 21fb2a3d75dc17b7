"""Which addresses a document may name. Everything else is shown as text."""

from __future__ import annotations

import re
from urllib.parse import unquote

CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)  # of a procedure
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WEB = re.compile(r"https?://[^\s\\@/]+(?:/|$|[?#])", re.IGNORECASE)
_OTHER = re.compile(r"(?:mailto:[^\s\\<>\"']+@[^\s\\<>\"']+|tel:\+?[0-9().-]+)", re.IGNORECASE)
_PROCEDURE = re.compile(r"procedure:(?P<code>[a-z0-9-]{1,64})(?:#(?P<step>[a-z0-9-]{1,32}))?", re.ASCII)
_LOCAL = re.compile(r"(?:/(?![/\\])|(?:\./)?[\w][\w.-]*(?:/|$))[\w./~%?=&;,+#-]*", re.ASCII)
_HIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\]")


def procedure_target(address: str) -> tuple[str, str | None] | None:
    """``procedure:imp-004#s2`` → ``("imp-004", "s2")``; None for any other address."""
    match = _PROCEDURE.fullmatch(address)
    if not match or not CODE.fullmatch(match["code"]):
        return None
    return match["code"], match["step"]


def is_link(address: str) -> bool:
    """May a link lead there? Web, mail, telephone, this server, and procedures; nothing that runs."""
    if _is_disguised(address):
        return False
    return bool(_WEB.match(address) or _OTHER.fullmatch(address) or procedure_target(address) or is_local(address))


def is_local(address: str) -> bool:
    """A path of this server, and nothing a browser would read as another host or as a scheme."""
    return (
        not _is_disguised(address)
        and bool(_LOCAL.fullmatch(address))
        and not _SCHEME.match(address)
        and ".." not in address
    )


def _is_disguised(address: str) -> bool:
    # Browsers drop tabs and newlines inside a scheme, and take "\" for "/": such an address is never an honest one.
    decoded = unquote(address)
    return bool(_HIDDEN.search(address) or re.search(r"[\x00-\x1f\x7f]", decoded) or not address)

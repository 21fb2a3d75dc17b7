"""Links and pictures of a Markdown text: addresses made whole, what leads nowhere made plain, pictures made words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote, urljoin, urlsplit

from kb.imports.formats.fences import outside_code

Target = Callable[[str], str]
"""The whole address a link leads to, or "" when its words stay as plain text."""

_TEXT = r"((?:\\.|[^\[\]\\]|\[[^\[\]]*+\])*+)"
_ADDRESS = r"\(\s*+(?:<([^<>\n]*+)>|((?:[^()\s<>]|\([^()\s]*+\))*+))(?:\s++(?:\"[^\"]*+\"|'[^']*+'))?\s*+\)"
INLINE = re.compile(rf"(!?)\[{_TEXT}\]{_ADDRESS}")
REFERENCE = re.compile(rf"(!?)\[{_TEXT}\](?:\[([^\[\]]*+)\])?(?![(:\[])")
DEFINITION = re.compile(
    r"^ {0,3}\[([^\[\]]++)\]:[ \t]*+<?([^\s<>]++)>?(?:[ \t]++(?:\"[^\"]*+\"|'[^']*+'|\([^()]*+\)))?[ \t]*+$", re.M
)
SAFE = re.compile(
    r"(?:https?://[^\s\\@/]+(?:[/?#]|$)|mailto:[^\s\\<>\"']+@|article:|/articles/sources/\d+/document\?)", re.IGNORECASE
)
UNSAFE_CHARACTER = re.compile(r"[\x00-\x20\x7f\\<>\"]")


def whole(base: str) -> Target:
    """Links relative to ``base`` (an address) made whole; "" when there is no base to make them whole with."""

    def target(address: str) -> str:
        if scheme_of(address) or not base:
            return address
        return urljoin(base, address)

    return target


def scheme_of(address: str) -> str:
    try:
        return urlsplit(address).scheme
    except ValueError:
        return "invalid"


def resolve(text: str, target: Target) -> str:
    """The text with every link inline and whole or plain, and every picture replaced by its words."""
    definitions = _definitions(text)

    def change(part: str) -> str:
        part = INLINE.sub(lambda found: _link(found[1], found[2], found[3] or found[4] or "", target), part)
        return REFERENCE.sub(lambda found: _reference(found, definitions, target), part) if definitions else part

    return outside_code(_without_definitions(text, definitions), change)


def _definitions(text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}

    def keep(part: str) -> str:
        for match in DEFINITION.finditer(part):
            found.setdefault(_label(match[1]), match[2])
        return part

    outside_code(text, keep)
    return found


def _without_definitions(text: str, definitions: Mapping[str, str]) -> str:
    return outside_code(text, lambda part: DEFINITION.sub("", part)) if definitions else text


def _label(text: str) -> str:
    return " ".join(text.split()).casefold()


def _link(picture: str, words: str, address: str, target: Target) -> str:
    if picture:
        return words
    if "](" in words:  # a picture inside a link: only its words are left
        words = INLINE.sub(lambda found: found[2], words)
    address = safe(target(address.strip()))
    return f"[{words}]({address})" if address and words.strip() else words or address


def _reference(found: re.Match[str], definitions: Mapping[str, str], target: Target) -> str:
    address = definitions.get(_label(found[3] or found[2]))
    if address is None:
        return found[0]
    return _link(found[1], found[2], address, target)


def safe(address: str) -> str:
    """The address when a browser may be sent there, else ""."""
    if UNSAFE_CHARACTER.search(address):
        address = address.replace(" ", "%20")
    if UNSAFE_CHARACTER.search(address) or not SAFE.match(address):
        return ""
    return address.replace("(", "%28").replace(")", "%29")


def neighbour(path: str, address: str, ending: str) -> str:
    """A link to another document of the same folder as ``article:PATH``; any other address as it is."""
    target = address.partition("#")[0]
    if scheme_of(address) or not target.endswith(ending) or target.startswith("/"):
        return address
    parts = [*path.split("/")[:-1]]
    for step in unquote(target).split("/"):
        if step == "..":
            if not parts:
                return ""
            parts.pop()
        elif step not in ("", "."):
            parts.append(step)
    return "article:" + quote("/".join(parts))

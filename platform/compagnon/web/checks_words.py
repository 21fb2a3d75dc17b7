"""Declarative checks (goss's words, see ``compagnon_agent.protocol.checks``) as a technician reads them.

Attribute names and matchers become words of the reader's language, simple patterns lose their regular-expression
marks. What is not understood is shown as it was written: nothing is hidden, and what an agent sent stays plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from compagnon.i18n import N_, gettext

ATTRIBUTES: Mapping[str, str] = {
    "running": N_("running"),
    "enabled": N_("started with the machine"),
    "installed": N_("installed"),
    "exists": N_("exists"),
    "contents": N_("contents"),
    "mode": N_("rights"),
    "owner": N_("owner"),
    "group": N_("group"),
    "filetype": N_("kind"),
    "size": N_("size"),
    "linked-to": N_("linked to"),
    "version": N_("version"),
    "versions": N_("versions"),
    "value": N_("value"),
    "usage": N_("use, in %"),
    "mounted": N_("mounted"),
    "filesystem": N_("file system"),
    "opts": N_("options"),
    "listening": N_("listening"),
    "reachable": N_("reachable"),
    "resolvable": N_("resolvable"),
    "addrs": N_("addresses"),
    "status": N_("status"),
    "body": N_("page"),
    "exit-status": N_("exit status"),
    "stdout": N_("output"),
    "stderr": N_("error output"),
    "count": N_("number"),
    "groups": N_("groups"),
    "members": N_("members"),
    "home": N_("home folder"),
    "shell": N_("shell"),
}
MATCHERS: Mapping[str, str] = {
    "equal": "{value}",
    "lt": N_("less than {value}"),
    "le": N_("{value} at most"),
    "gt": N_("more than {value}"),
    "ge": N_("{value} at least"),
    "have-prefix": N_("begins with {value}"),
    "have-suffix": N_("ends with {value}"),
    "contain": N_("holds {value}"),
    "contain-substring": N_("holds {value}"),
    "contain-element": N_("holds {value}"),
    "contain-elements": N_("holds {value}"),
    "match": N_("like {value}"),
    "match-regexp": N_("like {value}"),
    "not": N_("not {value}"),
}
DIFFERS = re.compile(r"(?P<name>[a-z-]{1,40}): expected (?P<wanted>.*), is (?P<actual>.*)", re.DOTALL)
MISSING = re.compile(r"(?P<name>[a-z-]{1,40}): (?P<wanted>.*) not found", re.DOTALL)
BETWEEN = re.compile(r"; (?=[a-z-]{1,40}: )")
SPACES = re.compile(r"\\s[+*]|\\s|\[\s*(?:\\[ts]| )+\s*\][+*]?|\[ \\t\][+*]?|\[\[:space:\]\][+*]?")
ESCAPED = re.compile(r"\\([.\-/()\[\]+*?|{}^$])")
REGEX_MARKS = frozenset("*+?()[]{}|^$\\")


def attribute_word(name: str) -> str:
    """An attribute's name in the reader's language; the name itself when it is not known."""
    known = ATTRIBUTES.get(name)
    return gettext(known) if known else name


def expectation(value: object) -> str:
    """What a check expects, in words; ``value`` as JSON has it."""
    if isinstance(value, bool):
        return gettext(N_("yes")) if value else gettext(N_("no"))
    if isinstance(value, str):
        return pattern(value)
    if isinstance(value, list):
        return ", ".join(expectation(item) for item in value) or "—"
    if isinstance(value, dict) and value and all(name in MATCHERS for name in value):
        return ", ".join(gettext(MATCHERS[name], value=expectation(operand)) for name, operand in value.items())
    return "—" if value is None else json.dumps(value, ensure_ascii=False)


def written(text: str) -> str:
    """A value as it is kept in a report (JSON, or plain text), in words."""
    return expectation(_json(text))


def pattern(text: str) -> str:
    """A goss pattern: ``/^nameserver x/`` reads “nameserver x”, ``!x`` reads “without x”."""
    if len(text) > 2 and text.startswith("!"):
        return gettext(N_("without {value}"), value=pattern(text[1:]))
    if len(text) < 3 or not (text.startswith("/") and text.endswith("/")):
        return text
    plain = text[1:-1].removeprefix("^").removesuffix("$")
    plain = plain.replace("https?", "http(s)") if "https?" in plain else plain
    plain = SPACES.sub(" ", plain)
    bare = ESCAPED.sub("", plain).replace("http(s)", "")
    return text if REGEX_MARKS & set(bare) else ESCAPED.sub(r"\1", plain)


def difference(reason: str) -> str:
    """What an agent found otherwise, in words: several differences stay separated by semicolons."""
    return "; ".join(_difference(part) for part in BETWEEN.split(reason))


def _difference(part: str) -> str:
    if found := DIFFERS.fullmatch(part):
        return gettext(
            N_("{name}: {wanted} expected, {actual} found"),
            name=attribute_word(found["name"]),
            wanted=expectation(_json(found["wanted"])),
            actual=expectation(_json(found["actual"])),
        )
    if found := MISSING.fullmatch(part):
        return gettext(
            N_("{name}: {wanted} expected"),
            name=attribute_word(found["name"]),
            wanted=expectation(_json(found["wanted"])),
        )
    return part


def _json(text: str) -> object:
    """A value as the agent wrote it: JSON, or a plain word; octal rights such as 0644 stay text."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | list | dict) or value is None else text

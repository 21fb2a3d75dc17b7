"""``policy.toml``: what this machine grants without asking. Only its owner writes it; the server shows it as it is.

::

    mode = "attended"        # attended: every request is asked at the screen
                             # preagreed: what [[grant]] lists is granted, the rest is asked
                             # unattended-demo: everything is granted (disposable machines only)
    max_hours = 8            # no grant lasts longer here, whatever is asked
    note = ""                # shown on the machine's page
    agreements = true        # false: nothing that was agreed to on the screen beforehand counts, and nobody is asked
    load = true              # false: how busy the machine is is not told to who looks at its page
    wake = true              # false: this machine wakes no other of its network
    updates = true           # false: new versions of the agent signed by the release key are not taken by themselves

    [[grant]]
    kind = "procedure"
    procedures = ["imp-*"]   # codes, * for any
    max_risk = "low"
    digests = ["9f…"]        # optional: these versions only, whatever the server calls them
    hours = 2

    [[grant]]
    kind = "session"
    capabilities = ["terminal"]
    hours = 1

    [files]                          # what sessions for files reach, once granted
    roots = ["/home", "/srv/data"]   # instead of home folders and temporary ones
    refuse = ["/srv/data/payroll"]   # besides .ssh and .gnupg, wherever they are

Codes, versions and risks are the server's own words: a rule without digests trusts it to use them honestly.
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from . import agreements
from .agreements import Agreement
from .protocol import messages
from .protocol.manifest import Risk
from .protocol.messages import ConsentKind
from .protocol.resources import RESOURCES
from .protocol.waking import WAKE

POLICY_FILE = "policy.toml"
SOURCE_LIMIT = 8 * 1024
_RISKS = (Risk.LOW, Risk.MEDIUM, Risk.HIGH)

DEFAULT = """# What this machine grants to the technicians without asking. Shown on the machine's page in Compagnon.
# mode: "attended" asks at the screen every time; "preagreed" grants what [[grant]] lists and asks for the rest;
# "unattended-demo" grants everything and is for disposable machines only.
mode = "attended"
max_hours = 8

# [[grant]]
# kind = "procedure"
# procedures = ["imp-*"]
# max_risk = "low"
# hours = 2
#
# WARNING: a rule for procedures without "digests" trusts the server's labels. Code and risk are what the server says
# they are: a server in wrong hands can send any commands under the code "imp-001" with the risk "low", and they run
# unasked. To pin the versions that you have read, list the digests of their manifests ("digest" in audit.jsonl here):
# digests = ["<64 hexadecimal digits>"]
"""

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_DIGEST = re.compile(r"[0-9a-f]{64}")


E = TypeVar("E", bound=StrEnum)


class Mode(StrEnum):
    ATTENDED = "attended"
    PREAGREED = "preagreed"
    UNATTENDED_DEMO = "unattended-demo"


class PolicyError(ValueError):
    """The file is not a policy; the text says where and why, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be granted. ``capability`` for SESSION, the others for PROCEDURE.

    ``digest`` is computed here; ``procedure`` and ``risk`` are the server's words.
    """

    kind: ConsentKind
    procedure: str = ""
    risk: Risk = Risk.HIGH
    capability: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One ``[[grant]]``. Without ``digests`` one for procedures believes the server what a procedure is."""

    kind: ConsentKind
    names: tuple[str, ...]
    max_risk: Risk
    hours: float
    digests: tuple[str, ...] = ()

    def covers(self, subject: Subject) -> bool:
        if self.kind is not subject.kind:
            return False
        if self.kind is ConsentKind.SESSION:
            return _matches(subject.capability, self.names)
        if self.digests and subject.digest not in self.digests:
            return False
        low_enough = _RISKS.index(subject.risk) <= _RISKS.index(self.max_risk)
        return low_enough and _matches(subject.procedure, self.names)

    def describe(self) -> str:
        names = ", ".join(self.names)
        if self.kind is ConsentKind.SESSION:
            return f"{self.kind}: {names}, {self.hours:g} h"[:200]
        trust = f"pinned by digest ({len(self.digests)})" if self.digests else "trusts the server's labels"
        return f"{self.kind}: {names[:110]}, risk up to {self.max_risk}, {self.hours:g} h, {trust}"


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesPolicy:
    """``roots``: absolute folders within which files are reached; none: home folders and temporary ones."""

    roots: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPolicy:
    mode: Mode = Mode.ATTENDED
    max_hours: float = 8.0
    note: str = ""
    updates: bool = True
    load: bool = True
    wake: bool = True
    agreements: bool = True
    rules: tuple[Rule, ...] = ()
    source: str = ""
    agreement: Agreement | None = None
    files: FilesPolicy = FilesPolicy()

    def grants_for(self, subject: Subject, *, present: bool = True) -> timedelta | None:
        """For how long at most this is granted without asking; None when it must be asked.

        ``present``: somebody is signed in at the machine. What was granted is not taken back when they leave.
        """
        if self.mode is Mode.UNATTENDED_DEMO:
            return timedelta(hours=self.max_hours)
        hours = [rule.hours for rule in self.rules if self.mode is Mode.PREAGREED and rule.covers(subject)]
        found = [timedelta(hours=max(hours))] if hours else []
        if self.agreement is not None:
            agreed = self.agreement.grants(
                subject.kind, capability=subject.capability, risk=subject.risk, present=present
            )
            found += [agreed] if agreed is not None else []
        return min(max(found), self.longest()) if found else None

    def longest(self) -> timedelta:
        return timedelta(hours=self.max_hours)

    def report(self, root_note: str = "") -> messages.Policy:
        """What the server is told, to be shown on the machine's page."""
        automatic = tuple(rule.describe() for rule in self.rules) if self.mode is Mode.PREAGREED else ()
        if self.mode is Mode.UNATTENDED_DEMO:
            automatic = ("everything, without asking",)
        elif self.agreement is not None:
            automatic += tuple(self.agreement.describe())
        sheet = tuple(name for name, resource in RESOURCES.items() if resource.read_only)
        sheet += (("load",) if self.load else ()) + ((WAKE,) if self.wake else ())
        note = " — ".join(part for part in (root_note, self.note) if part)[:500]
        held = self.agreement.held if self.agreement else None
        return messages.Policy(
            mode=self.mode, note=note, automatic=automatic[:50], sheet=sheet, source=self.source, agreement=held
        )


def load(folder: Path) -> LocalPolicy:
    """The policy in ``folder``; attended when there is no file. :class:`PolicyError` for one that cannot be read.

    With it, what was agreed to on this machine's screen, unless the file says ``agreements = false``.
    """
    path = folder / POLICY_FILE
    try:
        policy = parse(path.read_text(encoding="utf-8")) if path.exists() else LocalPolicy()
    except (OSError, UnicodeDecodeError, PolicyError, tomllib.TOMLDecodeError) as fault:
        raise PolicyError(f"{path}: {fault}") from None
    if not policy.agreements:
        return policy
    return replace(policy, agreement=agreements.load(folder, datetime.now(UTC)))


def parse(source: str) -> LocalPolicy:
    if len(source) > SOURCE_LIMIT:
        raise PolicyError(f"is longer than {SOURCE_LIMIT} characters")
    content = tomllib.loads(source)
    _known(
        content, {"mode", "max_hours", "note", "updates", "load", "wake", "agreements", "grant", "files"}, "the file"
    )
    rules = content.get("grant", [])
    if not isinstance(rules, list) or len(rules) > 50:
        raise PolicyError("grant must be up to 50 [[grant]] tables")
    return LocalPolicy(
        mode=_one_of(Mode, content.get("mode", "attended"), "mode"),
        max_hours=_hours(content.get("max_hours", 8), "max_hours"),
        note=_text(content.get("note", ""), "note"),
        updates=_flag(content.get("updates", True), "updates"),
        load=_flag(content.get("load", True), "load"),
        wake=_flag(content.get("wake", True), "wake"),
        agreements=_flag(content.get("agreements", True), "agreements"),
        rules=tuple(_rule(item) for item in rules),
        source=source,
        files=_files(content.get("files", {})),
    )


def _files(table: object) -> FilesPolicy:
    if not isinstance(table, dict):
        raise PolicyError("files must be one [files] table")
    _known(table, {"roots", "refuse"}, "[files]")
    return FilesPolicy(
        roots=_folders(table.get("roots", []), "roots"), refuse=_folders(table.get("refuse", []), "refuse")
    )


def _folders(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 50 or not all(_is_absolute(item) for item in value):
        raise PolicyError(f"{name} must be a list of up to 50 folders, absolute paths")
    return tuple(value)


def _is_absolute(path: object) -> bool:
    whole = isinstance(path, str) and "\x00" not in path
    return whole and (str(path).startswith("/") or _DRIVE.match(str(path)) is not None)


def _rule(item: object) -> Rule:
    if not isinstance(item, dict):
        raise PolicyError("grant must be up to 50 [[grant]] tables")
    kind = _one_of(ConsentKind, item.get("kind"), "kind")
    field = "procedures" if kind is ConsentKind.PROCEDURE else "capabilities"
    own = {"max_risk", "digests"} if kind is ConsentKind.PROCEDURE else {"max_risk"}
    _known(item, {"kind", field, "hours", *own}, "[[grant]]")
    names = item.get(field)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise PolicyError(f"{field} must be a list of names")
    return Rule(
        kind=kind,
        names=tuple(names[:50]),
        max_risk=_one_of(Risk, item.get("max_risk", "low"), "max_risk"),
        hours=_hours(item.get("hours", 1), "hours"),
        digests=_digests(item["digests"]) if "digests" in item else (),
    )


def _digests(value: object) -> tuple[str, ...]:
    """An empty list would say "none" and mean "any": it is refused."""
    if not isinstance(value, list) or not 1 <= len(value) <= 100:
        raise PolicyError("digests must be a list of 1 to 100 digests")
    if not all(isinstance(item, str) and _DIGEST.fullmatch(item) for item in value):
        raise PolicyError("digests must be SHA-256 digests: 64 hexadecimal digits, small letters")
    return tuple(value)


def _known(table: dict[str, object], names: set[str], where: str) -> None:
    unknown = sorted(set(table) - names)
    if unknown:
        raise PolicyError(f"{unknown[0]!r} means nothing in {where}: use {', '.join(sorted(names))}")


def _one_of(enumeration: type[E], value: object, name: str) -> E:
    try:
        return enumeration(str(value))
    except ValueError:
        raise PolicyError(f"{name} must be one of {', '.join(enumeration)}") from None


def _hours(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 24:
        raise PolicyError(f"{name} must be more than 0 and at most 24")
    return float(value)


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise PolicyError(f"{name} must be true or false")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > 400:
        raise PolicyError(f"{name} must be text of at most 400 characters")
    return value

"""Which operating systems a procedure is for, read from what it says itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kb.search.model import SYSTEMS
from procedures.format.model import CheckSpec, Procedure

# The words of an environment's code (poste-debian-12) and the identifiers of the check ``os``.
_NAMES = {
    "linux": ("linux", "debian", "ubuntu", "mint", "fedora", "rocky", "alma", "rhel", "centos", "suse", "arch"),
    "windows": ("windows", "win", "win10", "win11"),
    "macos": ("macos", "mac", "darwin", "osx"),
}
_SYSTEM = {name: system for system, names in _NAMES.items() for name in names}
_LANGUAGES = {"powershell": "windows", "pwsh": "windows", "ps1": "windows", "bat": "windows", "cmd": "windows"}


def systems(procedure: Procedure, applies_to: Sequence[str]) -> tuple[str, ...]:
    """``linux``, ``windows``, ``macos``: by its environments and its own ``os`` checks, else by the language of its
    commands. Empty: for any, or it does not say.
    """
    found = {*_by_code((procedure.id, *applies_to) if procedure.type == "environment" else applies_to)}
    found |= {*_by_checks(procedure)}
    if not found:
        found = {system for step in procedure.steps for code in step.codes if (system := _LANGUAGES.get(code.language))}
    return tuple(system for system in SYSTEMS if system in found)


def _by_code(codes: Sequence[str]) -> Iterator[str]:
    for code in codes:
        for word in re.split(r"[^a-z0-9]+", code.lower()):
            if system := _SYSTEM.get(word):
                yield system


def _by_checks(procedure: Procedure) -> Iterator[str]:
    for owner in procedure.owners:
        for check in owner.checks:
            yield from _of_check(check)


def _of_check(check: CheckSpec) -> Iterator[str]:
    asked = check.spec.get("os")
    for name in asked if isinstance(asked, dict) else ():
        if system := _SYSTEM.get(str(name).lower()):
            yield system

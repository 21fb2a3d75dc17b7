"""The standard a machine is installed to, as the other rooms see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compagnon_agent.protocol.checks import Check
    from procedures.format.model import Desktop, Procedure


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentCheck:
    """One check of conformance. ``id`` is the promise it belongs to, ``procedure`` the code of what repairs it."""

    id: str
    label: str
    check: Check
    procedure: str | None
    info: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentVersion:
    """A published environment: ``poste-debian-12@3`` is ``code`` and ``version``."""

    code: str
    version: int
    version_id: int
    locale: str
    title: str
    digest: str
    checks: Sequence[EnvironmentCheck]
    desktop: Desktop | None
    procedure: Procedure

    @property
    def label(self) -> str:
        return f"{self.code}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentName:
    """A published environment in a list."""

    code: str
    title: str
    number: int

"""Standard environments: what a machine that declares one must be like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from compagnon.db import Database
from compagnon.errors import NotFound
from compagnon.i18n import N_
from compagnon_agent.protocol.checks import parse_checks
from procedures.environments import store
from procedures.environments.model import EnvironmentCheck, EnvironmentName, EnvironmentVersion
from procedures.format.model import Conformity
from procedures.library import texts
from procedures.library.model import Version
from procedures.library.service import Library


class Environments:
    def __init__(self, db: Database, library: Library) -> None:
        self._db = db
        self._library = library
        self._read: dict[int, EnvironmentVersion] = {}  # versions never change: a few, read once

    async def current(self, code: str, locale: str = "fr") -> EnvironmentVersion:
        """The version in force. Raises NotFound for an unknown code, or one of a procedure that is no environment."""
        version = await self._library.published(code, locale)
        if version.kind != "environment":
            raise NotFound(N_("“{code}” is not an environment."), code=code)
        if version.id not in self._read:
            if len(self._read) >= 100:
                self._read.clear()
            self._read[version.id] = environment(version)
        return self._read[version.id]

    async def list(self, locale: str = "fr") -> Sequence[EnvironmentName]:
        """The published environments, by code."""
        async with self._db.connection() as conn:
            return await store.listed(conn, locale)

    async def in_force(self) -> dict[str, datetime]:
        """The codes of the published environments, and since when their present version is in force."""
        async with self._db.connection() as conn:
            return await store.in_force(conn)


def environment(version: Version) -> EnvironmentVersion:
    """A published version's text as an environment."""
    procedure = texts.parsed(version.text)
    return EnvironmentVersion(
        code=version.code,
        version=version.number or 0,
        version_id=version.id,
        locale=version.locale,
        title=version.title,
        digest=version.digest,
        checks=tuple(check for promise in procedure.conformity for check in _checks(promise)),
        desktop=procedure.desktop,
        procedure=procedure,
    )


def _checks(promise: Conformity) -> list[EnvironmentCheck]:
    return [
        EnvironmentCheck(
            id=promise.id, label=promise.label, check=check, procedure=promise.repair, info=promise.info or ""
        )
        for spec in promise.checks
        for check in parse_checks(spec.spec)
    ]

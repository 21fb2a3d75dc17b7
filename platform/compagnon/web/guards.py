"""Who may use a route. Every route needs sign-in unless it says ``opt={"public": True}`` (see ``signin.py``)."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from compagnon.auth.model import Member, Role
from compagnon.errors import Forbidden
from compagnon.i18n import N_
from compagnon.web import context


def requires(role: Role) -> Guard:
    """``@get(..., guards=[requires(Role.REVIEWER)])``: refuses members of a lesser role with a 403 page."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        check_role(context.need(connection.scope).member, role)

    return guard


def check_role(member: Member | None, role: Role) -> None:
    """Raises Forbidden unless ``member`` covers ``role``."""
    if member is None or not member.role.covers(role):
        raise Forbidden(REFUSALS[role])


REFUSALS = {
    Role.MEMBER: N_("Please sign in first."),
    Role.REVIEWER: N_("Only reviewers may do this."),
    Role.ADMINISTRATOR: N_("Only administrators may do this."),
}

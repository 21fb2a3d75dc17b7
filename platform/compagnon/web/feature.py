"""What a package adds to the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from litestar.types import ASGIApp, ControllerRouterHandler

from compagnon.auth.model import Member, Role
from compagnon.jobs import Jobs

TopicGuard = Callable[[Member, str], Awaitable[bool]]
"""``async guard(member, key) -> bool``: may this member listen to ``prefix:key``?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NavItem:
    """An entry of the navigation. ``label`` is an English msgid, ``icon`` a Tabler icon name without ``ti-``."""

    href: str
    label: str
    icon: str
    order: int
    role: Role = Role.MEMBER
    also: Sequence[str] = ()  # other addresses whose pages belong to this entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something the command palette offers. ``keys`` is shown as its shortcut, when it has one."""

    href: str
    label: str
    icon: str
    role: Role = Role.MEMBER
    keys: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A part of another package's page: a template (rendered as ``fragment`` does) and what it needs."""

    template: str
    context: Mapping[str, Any]
    order: int = 100


ClientPanel = Callable[[Member, int], Awaitable[Panel | None]]
"""``async panel(member, client_id) -> Panel | None``: what a package shows on a client's page."""

DashboardPanel = Callable[[Member], Awaitable[Panel | None]]
"""``async panel(member) -> Panel | None``: what a package shows on the first page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """``package`` finds ``templates/``, ``static/``, ``locale/``, ``migrations/`` beside its ``__init__.py``."""

    package: str
    handlers: Sequence[ControllerRouterHandler] = ()
    dependencies: Mapping[str, Any] = field(default_factory=dict)  # handler keyword → ready service object
    nav: Sequence[NavItem] = ()
    actions: Sequence[Action] = ()
    topics: Mapping[str, TopicGuard] = field(default_factory=dict)  # topic prefix → who may listen
    client_panels: Sequence[ClientPanel] = ()
    dashboard_panels: Sequence[DashboardPanel] = ()
    sockets: Mapping[str, ASGIApp] = field(default_factory=dict)  # WebSocket address → handler, past the web framework
    everywhere: Sequence[str] = ()  # templates at the end of every page of a signed-in member
    lifespan: Sequence[Callable[[], AbstractAsyncContextManager[None]]] = ()  # started and stopped with the server
    tasks: Callable[[Jobs], None] | None = None  # registers background jobs

"""What the clients add to the application, with the panels other packages show on a client's page."""

from __future__ import annotations

from collections.abc import Sequence

from compagnon.auth.model import Member
from compagnon.directory.panels import ClientPanels
from compagnon.directory.web import ClientPages
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon.web.feature import Action, Feature, NavItem


def build(kernel: Kernel, features: Sequence[Feature]) -> Feature:
    return Feature(
        package="compagnon",
        handlers=[ClientPages],
        dependencies={
            "client_panels": ClientPanels([panel for feature in features for panel in feature.client_panels])
        },
        nav=[NavItem(href="/clients", label=N_("Clients"), icon="address-book", order=30)],
        actions=[Action(href="/clients/new", label=N_("New client"), icon="user-plus")],
        topics={"client": _everyone},
    )


async def _everyone(member: Member, key: str) -> bool:
    return key.isdecimal()

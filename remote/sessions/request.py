"""What a member asks for, read and refused in words."""

from __future__ import annotations

from compagnon.errors import Invalid
from compagnon.i18n import N_
from remote.sessions.model import REASON, Capability, is_target


def readable(reason: str) -> str:
    """The reason in one line. Raises Invalid."""
    reason = " ".join(reason.split())
    if not REASON[0] <= len(reason) <= REASON[1]:
        raise Invalid(N_("Say in a few words what the session is for: the client reads it."), field="reason")
    return reason


def kind_of(capability: str, target: str) -> Capability:
    """Raises Invalid: no such capability, or a target that does not go with it."""
    try:
        wanted = Capability(capability)
    except ValueError:
        raise Invalid(N_("There is no such kind of session."), field="capability") from None
    if (wanted is Capability.TUNNEL) != is_target(target) or (target and wanted is not Capability.TUNNEL):
        raise Invalid(N_("Name a host and a port: 192.168.1.20:22."), field="target")
    return wanted

"""Words that several pages of devices use."""

from __future__ import annotations

from compagnon.i18n import N_, gettext
from remote.ssh.model import DeviceKind

KINDS = {
    DeviceKind.SERVER: N_("Server"),
    DeviceKind.NAS: N_("NAS"),
    DeviceKind.SWITCH: N_("Switch"),
    DeviceKind.ROUTER: N_("Router"),
}


def kinds() -> list[tuple[str, str]]:
    return [(kind.value, gettext(text)) for kind, text in KINDS.items()]

"""Words that several pages of devices use."""

from __future__ import annotations

from compagnon.i18n import N_, gettext
from remote.ssh.model import DeviceKind, How

KINDS = {
    DeviceKind.SERVER: N_("Server"),
    DeviceKind.NAS: N_("NAS"),
    DeviceKind.SWITCH: N_("Switch"),
    DeviceKind.ROUTER: N_("Router"),
}
HOWS = {
    How.PHONE: N_("by phone"),
    How.ON_SITE: N_("on site"),
    How.WRITTEN: N_("in writing"),
    How.CONTRACT: N_("by contract"),
}


def kinds() -> list[tuple[str, str]]:
    return [(kind.value, gettext(text)) for kind, text in KINDS.items()]

"""Why a device cannot be worked on, in words for the member. None of them repeats what the device or a secret said."""

from __future__ import annotations

from compagnon.errors import Conflict, Unavailable
from compagnon.i18n import N_


class Trouble(Unavailable):
    """``word`` is kept with the device and shown on its page."""

    word = "unreachable"


class Unreachable(Trouble):
    def __init__(self) -> None:
        super().__init__(N_("The device does not answer at this address and port."))


class NotSsh(Trouble):
    word = "not_ssh"

    def __init__(self) -> None:
        super().__init__(N_("What answers at this address does not speak SSH, or only an old kind of it."))


class AuthenticationRefused(Trouble):
    word = "refused"

    def __init__(self) -> None:
        super().__init__(N_("The device refused the account or its key: look at the user name and the access."))


class Broken(Trouble):
    word = "broken"

    def __init__(self) -> None:
        super().__init__(N_("The connection to the device broke."))


class Forbidden(Trouble):
    word = "forbidden"

    def __init__(self) -> None:
        super().__init__(N_("The server may not connect to this address (setting COMPAGNON_SSH_NETWORKS)."))


class TunnelMissing(Trouble):
    word = "tunnel"

    def __init__(self) -> None:
        super().__init__(N_("This device is reached through the agent of another machine: open a tunnel there first."))


class KeyUnknown(Conflict):
    """The device's key was never confirmed."""

    word = "key_unknown"

    def __init__(self) -> None:
        super().__init__(N_("The key of this device has not been confirmed yet: compare its fingerprint first."))


class KeyChanged(Conflict):
    """The device shows another key than the trusted one: nothing is sent to it."""

    word = "key_changed"

    def __init__(self) -> None:
        super().__init__(N_("The device shows another key than the one that was confirmed: nothing is sent to it."))


class NoAccess(Conflict):
    word = "no_access"

    def __init__(self) -> None:
        super().__init__(N_("This device has no key or password to sign in with yet."))

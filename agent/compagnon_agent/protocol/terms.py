"""The words and limits of the control messages."""

from __future__ import annotations

from enum import StrEnum

VERSION = 1
MAX_MESSAGE = 256 * 1024
"""Bytes of one message."""

OUTPUT_LIMIT = 64 * 1024
"""Bytes (UTF-8) of a step's output."""

MAX_AGE = 400 * 24 * 3600
"""Seconds: nothing that an agent tells is older."""

HEARTBEAT = 20.0
"""Seconds between two heartbeats, each way."""

SILENCE = 45.0
"""Seconds without any message after which the other side is taken for dead."""


class Phase(StrEnum):
    """Look whether the step is already true, do it, or look whether it worked."""

    CHECK = "check"
    EXECUTE = "execute"
    VERIFY = "verify"


class StepState(StrEnum):
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


class ConsentKind(StrEnum):
    """``PROCEDURE``: the steps of one manifest, for one ticket. ``SESSION``: one capability of one session."""

    PROCEDURE = "procedure"
    SESSION = "session"


class ConsentSource(StrEnum):
    """What answered: the desktop's dialog, a prompt in a terminal, the policy file, or nobody.

    ``RECORD``: a member wrote down who agreed, for a device without an agent; no agent makes a grant of it.
    """

    DIALOG = "dialog"
    TERMINAL = "terminal"
    POLICY = "policy"
    RECORD = "record"
    NONE = "none"


class EndReason(StrEnum):
    """Why a session ended. ``CLIENT``: Stop was pressed at the machine. ``LOST``: nobody came back in time."""

    MEMBER = "member"
    CLIENT = "client"
    TICKET = "ticket"
    EXIT = "exit"
    LOST = "lost"
    EXPIRED = "expired"
    REVOKED = "revoked"

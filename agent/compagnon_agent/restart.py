"""Starting the agent again from the inside: in place, so that whoever supervises it sees the same process."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from .launcher import RESTART
from .slots import Slots


def start_again() -> NoReturn:
    """Through the launcher where there is one (it may choose another version); else the same command once more."""
    sys.stdout.flush()
    sys.stderr.flush()
    slots = Slots.find()
    if os.environ.get("COMPAGNON_AGENT_SUPERVISED"):
        raise SystemExit(RESTART)  # the launcher waits for it
    os.execv(sys.executable, command(slots))  # noqa: S606 - our own interpreter


def command(slots: Slots | None) -> list[str]:
    if slots:
        return [sys.executable, "-I", str(slots.launcher), *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]

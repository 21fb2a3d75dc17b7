"""``install-service`` and the way back, on whatever system this is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..settings import Settings
from ..slots import Slots
from . import linux, macos, windows
from .plan import Place, Plan, carry_out, program, undo


def place_of(settings: Settings) -> Place:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Place(
        system=_is_administrator(),
        home=Path.home(),
        state=settings.folder,
        program=program(Slots.find()),
        runtime=Path(runtime) if runtime else None,
    )


def _is_administrator() -> bool:
    if sys.platform == "win32":
        import ctypes

        return bool(ctypes.windll.shell32.IsUserAnAdmin())
    return os.geteuid() == 0


def plan_of(settings: Settings) -> Plan:
    place = place_of(settings)
    if sys.platform == "win32":
        return windows.plan(place, f"{os.environ.get('USERDOMAIN', '.')}\\{os.environ.get('USERNAME', '')}")
    if sys.platform == "darwin":
        return macos.plan(place)
    return linux.plan(place)


def install(settings: Settings) -> str:
    """What was done, in one sentence. Raises ``ServiceError``."""
    return carry_out(plan_of(settings))


def remove(settings: Settings) -> list[Path]:
    """Stop it and remove what was written for it; the files that were there. Raises ``ServiceError``."""
    return undo(plan_of(settings))

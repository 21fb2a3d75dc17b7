"""What the machine's refusals mean, in the reader's language. Anything else is told in the machine's own words."""

from __future__ import annotations

from collections.abc import Mapping

from compagnon.errors import AppError, Conflict
from compagnon.i18n import N_
from remote.sessions.call_room import CallFailed

WORDS: Mapping[str, str] = {
    "outside": N_("This place is not opened to technicians by the machine's policy."),
    "link": N_("This is a link, or a link is on the way to it: open the place that it leads to."),
    "special": N_("This is not a file but a device, a pipe or a socket."),
    "is_folder": N_("This is a folder."),
    "not_folder": N_("This is not a folder."),
    "not_found": N_("It is not there any more."),
    "denied": N_("The agent's account may not do this on the machine."),
    "read_only": N_("This disk of the machine cannot be written."),
    "full": N_("The disk of the machine is full: nothing of this file was kept."),
    "name": N_("The machine does not take this name."),
    "not_empty": N_("This folder is not empty."),
    "other_disk": N_("Another disk is mounted in this folder."),
    "damaged": N_("What arrived is not what was sent: send it again."),
    "lost": N_("The transfer was cut off."),
}
CONFLICTS: Mapping[str, str] = {
    "exists": N_("There is something of this name already."),
    "changed": N_("It has changed meanwhile: look again."),
    "busy": N_("Somebody else is sending this file."),
    "gone": N_("The unfinished upload is not there any more: send the file again."),
    "incomplete": N_("The file is not whole yet."),
}


class Clash(Conflict):
    """``code`` for the page's script."""

    def __init__(self, code: str) -> None:
        super().__init__(CONFLICTS[code])
        self.code = code


class Failed(AppError):
    """``code`` for the page's script."""

    def __init__(self, code: str) -> None:
        super().__init__(WORDS[code])
        self.code = code


def told(fault: CallFailed) -> AppError:
    """The refusal that a person reads."""
    if fault.code in CONFLICTS:
        return Clash(fault.code)
    return Failed(fault.code) if fault.code in WORDS else fault

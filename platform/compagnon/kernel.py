"""What every feature is built on, in one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compagnon.db import Database
from compagnon.events import EventHub
from compagnon.jobs import Jobs
from compagnon.settings import Settings

if TYPE_CHECKING:
    from compagnon.auth.service import Members
    from compagnon.directory.service import Directory
    from compagnon.web.ws_tickets import WsTickets


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    settings: Settings
    db: Database
    hub: EventHub
    jobs: Jobs
    members: Members
    directory: Directory
    ws_tickets: WsTickets

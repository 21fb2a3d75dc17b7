"""Live events: written in the transaction of the change, heard by every process that listens."""

from compagnon.events.hub import Event, EventHub
from compagnon.events.store import publish

__all__ = ["Event", "EventHub", "publish"]

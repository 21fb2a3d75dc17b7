"""Live events: written in the transaction of the change, heard by every process that listens."""

from compagnon.events.hub import Event, EventHub
from compagnon.events.store import publish, publish_all

__all__ = ["Event", "EventHub", "publish", "publish_all"]

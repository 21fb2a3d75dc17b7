"""The control channel: one long-lived WebSocket per agent."""

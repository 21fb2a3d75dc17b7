"""The agent on a client's machine, and the wire protocol it shares with the server (``.protocol``)."""

__version__ = "0.1.0"

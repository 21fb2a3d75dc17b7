"""The server's WebSockets: uvicorn's, with a way to drop a peer that does not read.

ASGI knows only a polite close, which waits for the peer: a stalled one would keep its connection, and whoever waits to
send to it, for ever. The scope's extension ``compagnon.abort`` holds the transport's ``abort``.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class AbortableWebSocket(WebSocketsSansIOProtocol):
    async def run_asgi(self) -> None:
        extensions = dict(self.scope.get("extensions") or {})
        extensions["compagnon.abort"] = {"abort": self.transport.abort}
        self.scope["extensions"] = extensions
        await super().run_asgi()

"""HTTP to the server, through the proxy that ``COMPAGNON_AGENT_PROXY`` or the usual variables name, if any."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import urllib.request
    from http.client import HTTPResponse

PROXY = "COMPAGNON_AGENT_PROXY"


def opened(request: urllib.request.Request, timeout: float) -> HTTPResponse:
    """As ``urllib.request.urlopen``. http or https only: whoever makes the request has checked its address."""
    import urllib.request  # large, and used once in a while

    given = os.environ.get(PROXY)
    proxies = urllib.request.ProxyHandler({"http": given, "https": given} if given else None)
    answer: HTTPResponse = urllib.request.build_opener(proxies).open(request, timeout=timeout)
    return answer


def direct(host: str, port: int) -> bool:
    """Whether there is no proxy on the way, as ``COMPAGNON_AGENT_PROXY`` and the usual variables say."""
    import urllib.request

    if os.environ.get(PROXY):
        return False
    return not urllib.request.getproxies().keys() - {"no"} or bool(urllib.request.proxy_bypass(f"{host}:{port}"))

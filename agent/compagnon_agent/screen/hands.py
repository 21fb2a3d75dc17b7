"""``python -m compagnon_agent.screen.hands``: moves this desktop's mouse and presses its keys.

An order a line on standard input (JSON: ``events``, and ``area``: left, top, width and height of the monitor they are
on). Whatever is still pressed is let go when the orders end.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from .events import Area, Doer, Hands, read_events
from .program import serve


def hands() -> Hands:
    """Those of this system. Raises ``OSError`` where there are none."""
    if sys.platform == "win32":
        from .windows_hands import WindowsHands

        return WindowsHands()
    if sys.platform == "darwin":
        from .mac_hands import MacHands

        return MacHands()
    from .x_hands import XHands

    return XHands()


def obey(doer: Doer, order: Mapping[str, object]) -> bytes:
    left, top, width, height = (int(str(part)) for part in _parts(order.get("area")))
    area = Area(left=left, top=top, width=width, height=height)
    for event in read_events(order.get("events")):
        doer.do(event, area)
    return b""


def _parts(area: object) -> list[object]:
    return area if isinstance(area, list) and len(area) == 4 else [0, 0, 1, 1]


def main() -> None:
    doer = Doer(hands())
    try:
        serve(lambda order: obey(doer, order))
    finally:
        doer.release()


if __name__ == "__main__":
    main()

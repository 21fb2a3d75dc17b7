"""``python -m compagnon_agent.screen.eye``: looks at the screen when it is told to.

An order a line on standard input (JSON: ``monitor``, ``width``, ``budget``); for each the length of the records
(4 bytes) and the records on standard output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import mss
from PIL import Image

from ..protocol.tiles import HIGHEST, MONITORS, WIDEST
from .painter import Painter
from .program import serve

NARROWEST = 320


class Eye:
    """Monitors are counted from 1; one that is not there (any more) is the first."""

    def __init__(self, camera: mss.MSS) -> None:
        self._camera = camera
        self._painter = Painter()

    def look(self, order: Mapping[str, object]) -> bytes:
        """Records; for an order without a budget the monitors' places, as JSON."""
        if "budget" not in order:
            return json.dumps(self._camera.monitors[1 : MONITORS + 1]).encode()
        screens = self._camera.monitors[1 : MONITORS + 1]
        wanted = order.get("monitor")
        monitor = wanted if isinstance(wanted, int) and 1 <= wanted <= len(screens) else 1
        width, budget = order.get("width"), order.get("budget")
        picture = self._picture(screens[monitor - 1], width if isinstance(width, int) else WIDEST)
        limit = budget if isinstance(budget, int) else 0
        return self._painter.paint(picture, monitor=monitor, monitors=len(screens), budget=limit)

    def _picture(self, screen: dict[str, int], width: int) -> Image.Image:
        shot = self._camera.grab(screen)
        whole = Image.frombytes("RGB", (shot.width, shot.height), bytes(shot.raw), "raw", "BGRX")
        scale = min(1.0, max(width, NARROWEST) / whole.width, WIDEST / whole.width, HIGHEST / whole.height)
        if scale >= 1.0:
            return whole
        size = (max(1, round(whole.width * scale)), max(1, round(whole.height * scale)))
        return whole.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def main() -> None:
    with mss.MSS() as camera:
        serve(Eye(camera).look)


if __name__ == "__main__":
    main()

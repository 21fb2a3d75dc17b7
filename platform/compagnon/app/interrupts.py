"""Ctrl-C while the program is still being imported."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@contextmanager
def nothing_begun() -> Iterator[None]:
    """End the process at once and in silence at a Ctrl-C: only where there is nothing yet to leave in order.

    KeyboardInterrupt will not do: raised in the middle of an import, it may come out as another error with a traceback.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # a shell's background jobs ignore Ctrl-C, and so shall this one
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""Start a command that ends with whoever started it: ``python -m compagnon.app.with_parent PARENT command …``.

A server that was killed cannot stop its agent; the kernel does (prctl(2), PR_SET_PDEATHSIG), on Linux.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != int(parent):
            return  # it died before the kernel was told
    os.execvp(command[0], command)  # noqa: S606 - the caller's own argv, no shell wanted


if __name__ == "__main__":
    main()

"""Where a core and its helper meet in tests, and a log-in manager that says who is at the screen."""

from __future__ import annotations

import os
from pathlib import Path

ME = os.geteuid()


def fake_loginctl(folder: Path) -> str:
    """A ``loginctl`` that says: this account is at the screen. Returns the PATH that finds it."""
    tool = folder / "bin" / "loginctl"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = list-sessions ] && echo " 2 {ME} somebody seat0 tty2" && exit\n'
        f"printf 'User={ME}\\nType=x11\\nActive=yes\\nRemote=no\\nClass=user\\n'\n"
    )
    tool.chmod(0o755)
    return f"{tool.parent}:{os.environ['PATH']}"

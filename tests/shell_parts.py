"""The shell of the tests' agents: no start-up files and no history of whoever runs the tests."""

from __future__ import annotations

from pathlib import Path

TOOLS = Path(__file__).parent / "tools"  # stand before those of the system
SCRIPT = """#!/bin/sh
# Whoever is killed while reading somebody's start-up files may leave locks behind, on which the next shell waits.
export HOME="{home}" HISTFILE=/dev/null
exec /bin/bash --noprofile --norc -i
"""


def own_shell(folder: Path) -> str:
    """The path of a bash whose home is ``folder``; written there."""
    shell = folder / "shell"
    if not shell.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shell.write_text(SCRIPT.format(home=folder))
        shell.chmod(0o755)
    return str(shell)

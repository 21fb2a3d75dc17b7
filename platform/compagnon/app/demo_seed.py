"""What is wrong with the demo's machine: run inside the disposable root, once, before its agent starts."""

from pathlib import Path


def seed(root: Path) -> None:
    pass


def boot(root: Path) -> None:
    pass

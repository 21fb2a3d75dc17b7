"""What an index folder should hold: the layout of its files, their lengths and checksums, the number of its commits.

Against accidents (a full disk, a bad sector, another version), not against someone who may write there: that is what
the private folder is for.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kb.search.engine import IndexBroken

MANIFEST = "manifest.json"


def read(folder: Path) -> dict[str, Any]:
    """What was noted at the last commit. Raises IndexBroken."""
    try:
        manifest: Any = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise IndexBroken(f"the index has no readable manifest ({type(error).__name__})") from None
    files: object = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(isinstance(each, list) and len(each) == 2 for each in files.values()):
        raise IndexBroken("the index has no readable manifest")
    return {**manifest}


def write(folder: Path, layout: str, generation: int, files: Iterable[Path], *, rewritten: Iterable[str] = ()) -> None:
    """Note a commit. Files are written once and never changed, except the ``rewritten``: only new ones are read."""
    known = read(folder)["files"] if generation else {}
    for name in rewritten:
        known.pop(name, None)
    signed = {entry.name: known.get(entry.name) or _signature(entry) for entry in files}
    draft = folder / f"{MANIFEST}.new"
    draft.write_text(json.dumps({"layout": layout, "generation": generation, "files": signed}), "utf-8")
    draft.replace(folder / MANIFEST)


def check(folder: Path, layout: str, *, thorough: bool = False) -> dict[str, Any]:
    """The manifest of a usable index. ``thorough`` reads every file (1 GB/s), so that nothing damaged is opened.

    Raises IndexBroken: missing, of another layout, files missing, cut short or changed.
    """
    if not folder.is_dir():
        raise IndexBroken("there is no index yet")
    check_private(folder)
    manifest = read(folder)
    if manifest.get("layout") != layout:
        raise IndexBroken("the index was written by another version")
    for name, (size, checksum) in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise IndexBroken(f"{name} is missing or cut short")
        if thorough and _checksum(path) != checksum:
            raise IndexBroken(f"{name} is damaged")
    return manifest


def check_private(folder: Path) -> None:
    """Raises IndexBroken when another account could have put files (pickles!) there."""
    found = folder.stat()
    if os.name == "posix" and (found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077):
        raise IndexBroken("the folder of the index is open to other accounts")


def _signature(path: Path) -> list[int]:
    return [path.stat().st_size, _checksum(path)]


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found = zlib.crc32(block, found)
    return found

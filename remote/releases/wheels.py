"""Wheels made again from what is installed here: of the agent, and of the few packages it needs.

So a client's machine gets everything from its own server, and from nowhere else. A package with compiled parts fits
machines like this one; its tags say so, and pip looks. The format is the wheel format 1.0 (PyPA, Binary distribution
format).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from compagnon_agent import __version__ as agent_version

AGENT = "compagnon_agent"
NEEDED = ("cryptography", "psutil", "websockets")
"""What the agent imports; what these need comes along."""

BELOW = ("cffi", "pycparser", "typing_extensions", "mss", "pillow")
"""Packages that one of those needs, and the agent's extra for screens, where they are installed."""

_DATE = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


@dataclass(frozen=True, slots=True)
class Wheel:
    """``name`` is its file name: name, version and tags."""

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@cache
def agent_wheel() -> Wheel:
    """The agent's own package as it is installed here. The same bytes for the same files."""
    info = f"{AGENT}-{agent_version}.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: compagnon-agent\nVersion: {agent_version}\nRequires-Python: >=3.11\n"
        + "".join(f"Requires-Dist: {name}\n" for name in NEEDED)
    )
    tags = "Wheel-Version: 1.0\nGenerator: compagnon\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members = {
        **{f"{AGENT}/{path}": data for path, data in _package(files(AGENT), PurePosixPath())},
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": tags.encode(),
        f"{info}/entry_points.txt": b"[console_scripts]\ncompagnon-agent = compagnon_agent.cli:main\n",
    }
    return Wheel(f"{AGENT}-{agent_version}-py3-none-any.whl", pack(members, f"{info}/RECORD"))


def _package(folder: Traversable, place: PurePosixPath) -> Iterator[tuple[PurePosixPath, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _package(entry, place / entry.name)
        elif entry.is_file() and not entry.name.endswith((".pyc", ".pyo")):
            yield place / entry.name, entry.read_bytes()


def pack(members: Mapping[str, bytes], record: str) -> bytes:
    """A zip of ``members`` with their RECORD, reproducible to the byte."""
    rows = [(name, f"sha256={_digest(data)}", str(len(data))) for name, data in sorted(members.items())]
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([*rows, (record, "", "")])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*sorted(members.items()), (record, table.getvalue().encode())]:
            item = zipfile.ZipInfo(name, _DATE)
            item.compress_type, item.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(item, data)
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")


def needed() -> Sequence[str]:
    """File names of the wheels that the agent needs, of what is installed here."""
    return [name for package in (*NEEDED, *BELOW) if (name := wheel_name(package))]


@cache
def wheel_name(package: str) -> str:
    """The file name of an installed package's wheel; empty when it is not installed."""
    try:
        found = importlib.metadata.distribution(package)
    except PackageNotFoundError:
        return ""
    name = found.metadata["Name"].replace("-", "_").replace(".", "_")
    return f"{name}-{found.version}-{_tag(found)}.whl"


def _tag(found: Distribution) -> str:
    """The compressed tag set of a file name: one part for each of Python, ABI and platform."""
    lines = (found.read_text("WHEEL") or "").splitlines()
    tags = [line.partition(":")[2].strip().split("-") for line in lines if line.startswith("Tag:")]
    parts = zip(*tags, strict=True) if tags else (("py3",), ("none",), ("any",))
    return "-".join(".".join(dict.fromkeys(part)) for part in parts)


@cache
def dependency(name: str) -> Wheel | None:
    """An installed package as a wheel again, by its file name; None for any other name."""
    package = next((package for package in (*NEEDED, *BELOW) if name and wheel_name(package) == name), None)
    if package is None:
        return None
    found = importlib.metadata.distribution(package)
    members = dict(_installed(found))
    info = next(name for name in members if name.endswith(".dist-info/METADATA"))
    return Wheel(name, pack(members, str(PurePosixPath(info).parent / "RECORD")))


def _installed(found: Distribution) -> Iterator[tuple[str, bytes]]:
    """What belongs into the wheel: scripts beside the package, compiled caches and pip's own notes do not."""
    for item in found.files or ():
        outside = ".." in item.parts or item.is_absolute()
        if outside or item.suffix == ".pyc" or item.name in _LEFT_OUT:
            continue
        yield str(item), Path(str(found.locate_file(item))).read_bytes()

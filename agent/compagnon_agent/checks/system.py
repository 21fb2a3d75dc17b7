"""``os``, ``kernel-param`` and ``registry``: the system itself. The registry: tried on captured text only."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path

from .common import Differs, Observed, Question, Unsupported, run

PARAMETERS = Path("/proc/sys")


def observe_os(question: Question) -> Observed:
    observed, names = identify()
    if question.key not in names:
        raise Differs(f"this is {observed['id']}", observed)
    return observed


def identify() -> tuple[Observed, frozenset[str]]:
    """What this machine is, and every name it goes by (``debian``, ``linux``, ``unix``)."""
    observed: Observed = {"arch": platform.machine(), "kernel": platform.release(), "codename": None}
    if sys.platform == "win32":
        return {**observed, "id": "windows", "version": platform.version()}, frozenset({"windows"})
    if sys.platform == "darwin":
        return {**observed, "id": "macos", "version": platform.mac_ver()[0]}, frozenset({"macos", "unix"})
    release = _release()
    observed.update(
        {
            "id": release.get("ID", "linux"),
            "version": release.get("VERSION_ID"),
            "codename": release.get("VERSION_CODENAME"),
        }
    )
    names = {release.get("ID", "linux"), "linux", "unix", *release.get("ID_LIKE", "").split()}
    return observed, frozenset(names)


def _release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def observe_kernel_param(question: Question) -> Observed:
    if sys.platform != "linux":
        raise Unsupported("kernel parameters are read on Linux only")
    path = (PARAMETERS / question.key.replace(".", "/").strip("/")).resolve()
    if not path.is_relative_to(PARAMETERS):
        return {"value": None}
    try:
        return {"value": " ".join(path.read_text(errors="replace").split())}
    except OSError:
        return {"value": None}


def observe_registry(question: Question) -> Observed:
    if sys.platform != "win32":
        raise Unsupported("the registry exists on Windows only")
    key, _, value = question.key.partition(":")
    done = run(["reg.exe", "query", key, *(["/v", value] if value else [])])
    return parse_reg_query(done.stdout if done.returncode == 0 else "", value)


def parse_reg_query(output: str, value: str) -> Observed:
    """``reg query``: the key's path, then indented ``name    REG_TYPE    data`` lines."""
    rows = re.findall(r"^ {4}(.+?) {4}(REG_[A-Z_]+)(?: {4}(.*))?$", output.replace("\r", ""), re.MULTILINE)
    if not value:
        return {"exists": bool(output.strip()), "value": None, "type": None}
    for name, kind, data in rows:
        if name.casefold() == value.casefold():
            return {"exists": True, "value": _plain(kind, data), "type": kind}
    return {"exists": False, "value": None, "type": None}


def _plain(kind: str, data: str) -> str:
    if kind in {"REG_DWORD", "REG_QWORD"} and data.startswith("0x"):
        return str(int(data, 16))
    return data

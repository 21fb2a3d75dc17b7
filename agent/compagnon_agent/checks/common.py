"""What the check modules share: how they say that something cannot be found out, and how they run a small program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from ..protocol.wire import JSON

Observed = dict[str, JSON]
T = TypeVar("T")


class Trouble(Exception):
    """It could not be found out (outcome ``error``); the text says why."""


class Unsupported(Exception):
    """Not on this kind of machine (outcome ``unsupported``)."""


class Differs(Exception):
    """The machine is not what the key says (outcome ``fail``), whatever the attributes are."""

    def __init__(self, reason: str, observed: Observed) -> None:
        super().__init__(reason)
        self.observed = observed


class Batch:
    """Checks that are evaluated one after the other: what one program answers for all of them is asked once.

    ``keys`` by resource.
    """

    def __init__(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        self._keys = keys
        self._known: dict[str, object] = {}

    def keys(self, resource: str, at_least: str) -> tuple[str, ...]:
        """The keys of all checks of this resource; ``at_least`` is the one that asks."""
        found = self._keys.get(resource, ())
        return found if at_least in found else (at_least,)

    def once(self, name: str, find: Callable[[], T]) -> T:
        """What ``find`` gave the first time."""
        if name not in self._known:
            self._known[name] = find()
        return cast("T", self._known[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A check, ready to be answered: ``settings`` direct how, ``wanted`` names the attributes to observe."""

    key: str
    settings: Mapping[str, JSON]
    wanted: frozenset[str]
    batch: Batch = field(default_factory=lambda: Batch({}))

    def seconds(self, default: float) -> float:
        """The time limit, from goss's milliseconds."""
        given = self.settings.get("timeout")
        return given / 1000 if isinstance(given, int) else default

    def setting(self, name: str) -> str | None:
        given = self.settings.get(name)
        return given if isinstance(given, str) and given else None

    def flag(self, name: str) -> bool:
        return self.settings.get(name) is True


def run(argv: Sequence[str], *, timeout: float = 10.0) -> subprocess.CompletedProcess[str]:
    """Run a fixed system program, in the C locale; :class:`Trouble` when it is missing or takes too long."""
    try:
        return subprocess.run(  # noqa: S603 - argv of a fixed program; the key is validated and never an option
            list(argv),
            capture_output=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env=_environment(),
        )
    except FileNotFoundError:
        raise Trouble(f"{argv[0]} is not there") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"{argv[0]} did not answer within {timeout:.0f} s") from None
    except OSError as fault:
        raise Trouble(f"{argv[0]}: {fault.strerror or fault}") from None


def _environment() -> dict[str, str]:
    """Where the system's own programs are, whatever the agent was started with."""
    if os.name == "nt":
        return {name: os.environ[name] for name in ("SYSTEMROOT", "PATH", "TEMP") if name in os.environ}
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}

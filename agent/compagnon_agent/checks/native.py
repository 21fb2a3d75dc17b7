"""One native check, here and now, in this process. ``command`` is left to the agent's own executor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from ..protocol.checks import Check, CheckResult, Outcome, expected_attributes
from ..protocol.resources import RESOURCES
from ..protocol.verdict import compare, finish
from .common import Batch, Differs, Observed, Question, Trouble, Unsupported

OBSERVERS: Mapping[str, tuple[str, str]] = {
    "package": ("package", "observe"),
    "service": ("service", "observe"),
    "process": ("process", "observe"),
    "port": ("port", "observe"),
    "file": ("file", "observe"),
    "dns": ("dns", "observe"),
    "http": ("http", "observe"),
    "addr": ("addr", "observe"),
    "interface": ("interface", "observe"),
    "mount": ("mount", "observe"),
    "user": ("accounts", "observe_user"),
    "group": ("accounts", "observe_group"),
    "kernel-param": ("system", "observe_kernel_param"),
    "registry": ("system", "observe_registry"),
    "os": ("system", "observe_os"),
}
"""Module and function; imported when the first check of its kind comes, because most come seldom and some are large."""


def observer_of(resource: str) -> Callable[[Question], Observed] | None:
    place = OBSERVERS.get(resource)
    if place is None:
        return None
    found: Callable[[Question], Observed] = getattr(import_module(f"{__package__}.{place[0]}"), place[1])
    return found


def batch_of(checks: Sequence[Check]) -> Batch:
    """For those that are evaluated together."""
    keys: dict[str, list[str]] = {}
    for check in checks:
        keys.setdefault(check.resource, []).append(check.key)
    return Batch({resource: tuple(dict.fromkeys(found)) for resource, found in keys.items()})


def evaluate(check: Check, batch: Batch | None = None) -> CheckResult:
    """Never raises: whatever goes wrong is the result's outcome and reason."""
    started = time.monotonic()
    outcome, observed, reason = _evaluate(check, batch or batch_of([check]))
    return finish(check, outcome, observed, reason, started)


def _evaluate(check: Check, batch: Batch) -> tuple[Outcome, Observed, str]:
    if check.attributes.get("skip") is True:
        return Outcome.PASSED, {}, "left out"
    observer = observer_of(check.resource)
    if observer is None:
        return Outcome.UNSUPPORTED, {}, f"{check.resource} cannot be checked here"
    question = ask(check, batch)
    try:
        observed = observer(question)
    except Differs as difference:
        return Outcome.FAILED, difference.observed, str(difference)
    except Unsupported as fault:
        return Outcome.UNSUPPORTED, {}, str(fault)
    except Trouble as fault:
        return Outcome.ERROR, {}, str(fault)
    except Exception as fault:  # one check's surprise must not cost the others
        return Outcome.ERROR, {}, f"{type(fault).__name__}: {fault}"
    return compare(check, observed)


def ask(check: Check, batch: Batch) -> Question:
    attributes = RESOURCES[check.resource].attributes
    settings = {name: value for name, value in check.attributes.items() if attributes[name].setting}
    return Question(key=check.key, settings=settings, wanted=frozenset(expected_attributes(check)), batch=batch)

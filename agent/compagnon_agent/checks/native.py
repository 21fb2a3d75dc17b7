"""One native check, here and now, in this process. ``command`` is left to the agent's own executor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ..protocol.checks import OBSERVED_LIMIT, Check, CheckResult, Kind, Outcome, expected_attributes
from ..protocol.expectations import met, patterns_met
from ..protocol.resources import RESOURCES
from ..protocol.wire import JSON, clean_text, dumps
from . import accounts, addr, dns, file, http, interface, mount, package, port, process, service, system
from .common import Differs, Observed, Question, Trouble, Unsupported

OBSERVERS: Mapping[str, Callable[[Question], Observed]] = {
    "package": package.observe,
    "service": service.observe,
    "process": process.observe,
    "port": port.observe,
    "file": file.observe,
    "dns": dns.observe,
    "http": http.observe,
    "addr": addr.observe,
    "interface": interface.observe,
    "mount": mount.observe,
    "user": accounts.observe_user,
    "group": accounts.observe_group,
    "kernel-param": system.observe_kernel_param,
    "registry": system.observe_registry,
    "os": system.observe_os,
}


def evaluate(check: Check) -> CheckResult:
    """Never raises: whatever goes wrong is the result's outcome and reason."""
    started = time.monotonic()
    outcome, observed, reason = _evaluate(check)
    return finish(check, outcome, observed, reason, started)


def finish(check: Check, outcome: Outcome, observed: Observed, reason: str, started: float) -> CheckResult:
    """The result, within the protocol's limits. ``started`` from ``time.monotonic()``."""
    return CheckResult(
        check=check,
        outcome=outcome,
        observed=bounded(observed),
        reason=clean_text(reason)[:500],
        duration_ms=min(3_600_000, round((time.monotonic() - started) * 1000)),
    )


def _evaluate(check: Check) -> tuple[Outcome, Observed, str]:
    if check.attributes.get("skip") is True:
        return Outcome.PASSED, {}, "left out"
    observer = OBSERVERS.get(check.resource)
    if observer is None:
        return Outcome.UNSUPPORTED, {}, f"{check.resource} cannot be checked here"
    question = ask(check)
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


def ask(check: Check) -> Question:
    attributes = RESOURCES[check.resource].attributes
    settings = {name: value for name, value in check.attributes.items() if attributes[name].setting}
    return Question(key=check.key, settings=settings, wanted=frozenset(expected_attributes(check)))


def compare(check: Check, observed: Observed) -> tuple[Outcome, Observed, str]:
    """Observed against expected, attribute by attribute."""
    attributes = RESOURCES[check.resource].attributes
    shown: Observed = {}
    differences: list[str] = []
    for name, expected in expected_attributes(check).items():
        actual = observed.get(name)
        is_text = attributes[name].kind is Kind.LINES
        shown[name] = _excerpt(check, actual) if is_text else actual
        if not _met(expected, actual, is_text=is_text):
            differences.append(_difference(name, expected, actual, is_text=is_text))
    if not expected_attributes(check):  # `os: {debian: {}}`: being it is all that is asked
        shown = {name: observed[name] for name in ("id", "version") if name in observed}
    return (Outcome.FAILED if differences else Outcome.PASSED), shown, "; ".join(differences)


def _met(expected: JSON, actual: JSON, *, is_text: bool) -> bool:
    if is_text and isinstance(actual, list):
        return patterns_met(expected, [str(line) for line in actual])
    if is_text:
        return False
    return met(expected, actual)


def _difference(name: str, expected: JSON, actual: JSON, *, is_text: bool) -> str:
    wanted = expected if isinstance(expected, str) else dumps(expected)
    if is_text:
        return f"{name}: {wanted} not found"
    return f"{name}: expected {wanted[:150]}, is {(actual if isinstance(actual, str) else dumps(actual))[:150]}"


def _excerpt(check: Check, actual: JSON) -> JSON:
    """Of a file or page only its length travels: it may hold secrets. A command's output was consented to."""
    if not isinstance(actual, list):
        return actual
    if check.resource == "command":
        return "\n".join(map(str, actual))[-1000:]
    return f"{len(actual)} lines"


def bounded(observed: Observed) -> Observed:
    """Cut down to the protocol's limit, and to what it can carry."""
    cut: Observed = {name: _cut(value) for name, value in observed.items()}
    return cut if len(dumps(cut).encode()) <= OBSERVED_LIMIT else dict.fromkeys(cut)


def _cut(value: JSON) -> JSON:
    if isinstance(value, str):
        return clean_text(value)[:1000]
    if isinstance(value, list):
        return [_cut(item) for item in value[:20]]
    return value

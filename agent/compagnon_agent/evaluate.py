"""Evaluating a list of checks: native ones in a process that can be killed, ``command`` ones by the executor.

A check that hangs (a dead network drive, a resolver that never answers) costs its own time limit and nothing else: the
process is killed and the remaining checks go on in a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence

from . import execute
from .checks.public import public_files
from .looking import COMMAND, Sight, reads
from .protocol.checks import Check, CheckResult, Outcome, check_codec, command_of
from .protocol.verdict import compare, finish
from .protocol.wire import JSON, WireError, dumps, loads, record

DEFAULT_LIMIT = 15.0
"""Seconds for one check that names no time limit."""


async def evaluate(checks: Sequence[Check], *, timeout: float, commands: bool) -> tuple[CheckResult, ...]:
    """One result for each check, in order, within ``timeout`` seconds in all.

    ``commands``: whether ``command`` checks may run, which only :func:`.authorise.authorise` decides.
    """
    deadline = time.monotonic() + timeout
    results: dict[int, CheckResult] = {}
    native = [index for index, check in enumerate(checks) if check.resource != "command"]
    for index, result in zip(native, await _native([checks[index] for index in native], deadline), strict=True):
        results[index] = result
    for index, check in enumerate(checks):
        if index not in results:
            results[index] = await _command(check, deadline) if commands else withheld(check, COMMAND)
    return tuple(results[index] for index in range(len(checks)))


async def sight_of(checks: Sequence[Check]) -> Sight:
    """What the decision about these (bound) checks must know of the machine's files."""
    return Sight(public=await public_files(check.key for check in checks if reads(check)))


def withheld(check: Check, reason: str) -> CheckResult:
    """The answer to a check that is not evaluated."""
    return _failed(check, reason, time.monotonic())


def limit_of(check: Check) -> float:
    given = check.attributes.get("timeout")
    return given / 1000 + 1.0 if isinstance(given, int) and not isinstance(given, bool) else DEFAULT_LIMIT


def _failed(check: Check, reason: str, started: float) -> CheckResult:
    return finish(check, Outcome.ERROR, {}, reason, started)


async def _native(checks: Sequence[Check], deadline: float) -> list[CheckResult]:
    results: list[CheckResult] = []
    while len(results) < len(checks):
        rest = checks[len(results) :]
        if time.monotonic() >= deadline:
            return results + [_failed(check, "not reached in the time given", time.monotonic()) for check in rest]
        results += await _batch(rest, deadline)
    return results


async def _batch(checks: Sequence[Check], deadline: float) -> list[CheckResult]:
    """At least one result: what one process answered, and for the check at which it stopped, why."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "compagnon_agent.checks",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1024 * 1024,
        start_new_session=True,
    )
    results: list[CheckResult] = []
    try:
        await _feed(process, checks)
        while len(results) < len(checks):
            check, started = checks[len(results)], time.monotonic()
            patience = min(limit_of(check) + (1.0 if not results else 0.0), max(0.05, deadline - started))
            result, fault = await _next(process, patience)
            results.append(result or _failed(check, fault, started))
            if result is None:
                break
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return results


async def _feed(process: asyncio.subprocess.Process, checks: Sequence[Check]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(dumps([check_codec.write(check) for check in checks]).encode())
        await process.stdin.drain()
    process.stdin.close()


async def _next(process: asyncio.subprocess.Process, patience: float) -> tuple[CheckResult | None, str]:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(patience):
            line = await process.stdout.readline()
    except TimeoutError:
        return None, f"no answer within {patience:.0f} s"
    except ValueError:
        return None, "the answer was too long"
    if not line:
        return None, "the check ended unexpectedly"
    try:
        return record(CheckResult).read(loads(line, limit=1024 * 1024), ""), ""
    except WireError as fault:
        return None, str(fault)


async def _command(check: Check, deadline: float) -> CheckResult:
    started = time.monotonic()
    limit = min(limit_of(check), deadline - started)
    if limit <= 0:
        return _failed(check, "not reached in the time given", started)
    try:
        outcome = await execute.run(execute.argv(execute.CHECK_SHELL, command_of(check)), timeout=limit, merge=False)
    except execute.CannotRun as fault:
        return _failed(check, str(fault), started)
    if outcome.timed_out:
        return _failed(check, f"no end within {limit:.0f} s", started)
    stdout: list[JSON] = [*execute.plain(outcome.stdout).splitlines()]
    stderr: list[JSON] = [*execute.plain(outcome.stderr).splitlines()]
    verdict, observed, reason = compare(check, {"exit-status": outcome.exit_code, "stdout": stdout, "stderr": stderr})
    return finish(check, verdict, observed, reason, started)

"""One attempt at one phase of a step: authorised, journalled, done at most once, reported until acknowledged."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from . import execute
from .authorise import CANNOT_WRITE, Decision, StepRequest
from .evaluate import evaluate, sight_of
from .looking import BLIND
from .protocol.checks import CheckError, CheckResult, is_read_only
from .protocol.checks import Outcome as CheckOutcome
from .protocol.manifest import ManifestStep, RunOn, prepare
from .protocol.messages import OUTPUT_LIMIT, CheckResults, Execute, Phase, StepResult, StepState, encode
from .protocol.parameters import ParameterError, validate_all
from .protocol.wire import WireError
from .store import Store

log = logging.getLogger(__name__)

CHECKS_LIMIT = 180.0
"""Seconds for all checks of one step."""

CANCELLED = "cancelled"


class Steps:
    """``decide`` is the agent's way to :func:`.authorise.authorise`; one step runs at a time."""

    def __init__(self, store: Store, decide: Callable[[StepRequest], Decision]) -> None:
        self._store = store
        self._decide = decide
        self._turn = asyncio.Lock()
        self._running: dict[str, asyncio.Task[StepResult]] = {}

    @property
    def busy(self) -> int:
        return len(self._running)

    async def attempt(self, request: Execute) -> StepResult | None:
        """The result to send; None when this attempt is running already (its result will come by itself)."""
        known = self._store.attempt(request.attempt_id)
        if known:
            return known.result
        if request.attempt_id in self._running:
            return None
        task = asyncio.create_task(self._one(request))
        self._running[request.attempt_id] = task
        try:
            return await task
        except asyncio.CancelledError:
            if task.cancelled():  # by `cancel`, before it was journalled
                return _refused(request, CANCELLED)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        finally:
            del self._running[request.attempt_id]

    def cancel(self, attempt_id: str) -> bool:
        task = self._running.get(attempt_id)
        return task is not None and task.cancel()

    def cancel_all(self) -> None:
        for task in self._running.values():
            task.cancel()

    async def _one(self, request: Execute) -> StepResult:
        try:
            values = validate_all(request.manifest.parameters, request.parameters)
            step = prepare(request.manifest, request.step_id, values, check_shell=execute.CHECK_SHELL)
        except (ParameterError, CheckError) as fault:
            return _refused(request, str(fault))
        except KeyError:
            return _refused(request, "this procedure has no such step")
        async with self._turn:
            sight = await sight_of(step.checks) if request.phase is not Phase.EXECUTE else BLIND
            decision = self._decide(replace(_asked(request, step, values), sight=sight))
            if not decision.allowed:
                return _refused(request, decision.reason, needs_consent=decision.needs_consent)
            return await self._journalled(request, step)

    async def _journalled(self, request: Execute, step: ManifestStep) -> StepResult:
        started = datetime.now(UTC)
        try:
            new = self._store.start(request.attempt_id, started)
        except sqlite3.Error as fault:
            return _refused(request, f"{CANNOT_WRITE} ({fault})")
        if not new:
            known = self._store.attempt(request.attempt_id)
            return known.result if known and known.result else _refused(request, "this attempt was made before")
        try:
            result = await _run(request, step, started)
        except asyncio.CancelledError:
            result = _result(request, StepState.FAILED, started, reason=CANCELLED)
        except Exception as fault:
            log.exception("step %s", request.attempt_id)
            result = _result(request, StepState.FAILED, started, reason=f"the agent failed: {type(fault).__name__}")
        result = fitting(result)
        self._store.finish(result)
        return result


def _asked(request: Execute, step: ManifestStep, values: Mapping[str, str]) -> StepRequest:
    return StepRequest(
        ticket_id=request.ticket_id,
        manifest=request.manifest,
        step_id=request.step_id,
        phase=request.phase,
        checks=step.checks,
        values=values,
    )


def _refused(request: Execute, reason: str, *, needs_consent: bool = False) -> StepResult:
    now = datetime.now(UTC)
    return _result(request, StepState.REFUSED, now, reason=reason, needs_consent=needs_consent)


def _result(
    request: Execute,
    state: StepState,
    started: datetime,
    *,
    reason: str = "",
    needs_consent: bool = False,
    output: str = "",
    exit_code: int | None = None,
    checks: tuple[CheckResult, ...] = (),
) -> StepResult:
    return StepResult(
        attempt_id=request.attempt_id,
        state=state,
        started=started,
        ended=datetime.now(UTC),
        reason=reason[:500],
        needs_consent=needs_consent,
        output=output,
        exit_code=exit_code,
        checks=checks,
        age=0,
    )


async def _run(request: Execute, step: ManifestStep, started: datetime) -> StepResult:
    if request.phase is Phase.EXECUTE:
        return await _commands(request, step, started)
    commands = not all(map(is_read_only, step.checks))  # allowed, or we would not be here
    results = await evaluate(step.checks, timeout=CHECKS_LIMIT, commands=commands)
    passed = all(result.outcome is CheckOutcome.PASSED for result in results)
    reason = "" if results else "this step has no checks"
    state = StepState.DONE if results and passed else StepState.FAILED
    return _result(request, state, started, checks=results, reason=reason)


async def _commands(request: Execute, step: ManifestStep, started: datetime) -> StepResult:
    """In order; the first that fails ends the step. Output is what they all printed, the end of it."""
    printed = execute.Tail()
    code: int | None = None
    for command in step.commands:
        if command.run_on is not RunOn.AGENT:
            continue
        try:
            outcome = await execute.run(execute.argv(command.shell, command.script), timeout=command.timeout)
        except execute.CannotRun as fault:
            return _result(request, StepState.FAILED, started, reason=str(fault), output=execute.plain(printed.value()))
        printed.feed(outcome.stdout)
        code = outcome.exit_code
        if code != 0 or outcome.timed_out:
            reason = f"stopped after {command.timeout} s" if outcome.timed_out else f"exit status {code}"
            output = execute.plain(printed.value())
            return _result(request, StepState.FAILED, started, reason=reason, output=output, exit_code=code)
    return _result(request, StepState.DONE, started, output=execute.plain(printed.value()), exit_code=code)


def fitting_results(message: CheckResults) -> CheckResults:
    """The results, without what was observed where all of it together is too long for one message."""
    try:
        encode(message)
    except WireError:
        return replace(message, results=tuple(replace(item, observed={}) for item in message.results))
    return message


def fitting(result: StepResult) -> StepResult:
    """The result, cut until it fits into one message: output is shortened from its start."""
    limit = OUTPUT_LIMIT
    while True:
        try:
            encode(result)
            return result
        except WireError:
            limit //= 2
            checks = result.checks if limit > OUTPUT_LIMIT // 8 else ()
            result = StepResult(
                attempt_id=result.attempt_id, state=result.state, started=result.started, ended=result.ended,
                reason=result.reason, output=execute.plain(result.output.encode(), limit),
                exit_code=result.exit_code, checks=checks, age=result.age,
            )  # fmt: skip

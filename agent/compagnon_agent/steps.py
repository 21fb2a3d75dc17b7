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
from .protocol.checks import CheckError, is_read_only
from .protocol.checks import Outcome as CheckOutcome
from .protocol.manifest import ManifestStep, RunOn, prepare
from .protocol.messages import CheckResults, Execute, Phase, StepResult, StepState, encode
from .protocol.parameters import ParameterError, validate_all
from .protocol.reports import fitting, refusal, report
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
            return replace(await task, age=0)
        except asyncio.CancelledError:
            if task.cancelled():  # by `cancel`, before it was journalled
                return replace(refusal(request, CANCELLED), age=0)
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
            return refusal(request, str(fault))
        except KeyError:
            return refusal(request, "this procedure has no such step")
        async with self._turn:
            sight = await sight_of(step.checks) if request.phase is not Phase.EXECUTE else BLIND
            decision = self._decide(replace(_asked(request, step, values), sight=sight))
            if not decision.allowed:
                return refusal(request, decision.reason, needs_consent=decision.needs_consent)
            return await self._journalled(request, step)

    async def _journalled(self, request: Execute, step: ManifestStep) -> StepResult:
        started = datetime.now(UTC)
        try:
            new = self._store.start(request.attempt_id, started)
        except sqlite3.Error as fault:
            return refusal(request, f"{CANNOT_WRITE} ({fault})")
        if not new:
            known = self._store.attempt(request.attempt_id)
            return known.result if known and known.result else refusal(request, "this attempt was made before")
        try:
            result = await _run(request, step, started)
        except asyncio.CancelledError:
            result = report(request, StepState.FAILED, started, reason=CANCELLED)
        except Exception as fault:
            log.exception("step %s", request.attempt_id)
            result = report(request, StepState.FAILED, started, reason=f"the agent failed: {type(fault).__name__}")
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


async def _run(request: Execute, step: ManifestStep, started: datetime) -> StepResult:
    if request.phase is Phase.EXECUTE:
        return await _commands(request, step, started)
    commands = not all(map(is_read_only, step.checks))  # allowed, or we would not be here
    results = await evaluate(step.checks, timeout=CHECKS_LIMIT, commands=commands)
    passed = all(result.outcome is CheckOutcome.PASSED for result in results)
    reason = "" if results else "this step has no checks"
    state = StepState.DONE if results and passed else StepState.FAILED
    return report(request, state, started, checks=results, reason=reason)


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
            return report(request, StepState.FAILED, started, reason=str(fault), output=execute.plain(printed.value()))
        printed.feed(outcome.stdout)
        code = outcome.exit_code
        if code != 0 or outcome.timed_out:
            reason = f"stopped after {command.timeout} s" if outcome.timed_out else f"exit status {code}"
            output = execute.plain(printed.value())
            return report(request, StepState.FAILED, started, reason=reason, output=output, exit_code=code)
    return report(request, StepState.DONE, started, output=execute.plain(printed.value()), exit_code=code)


def fitting_results(message: CheckResults) -> CheckResults:
    """The results, without what was observed where all of it together is too long for one message."""
    try:
        encode(message)
    except WireError:
        return replace(message, results=tuple(replace(item, observed={}) for item in message.results))
    return message

"""Steps and checks on a device: under a written-down consent, begun at most once, the output kept in bounds.

The journal is the database. An attempt is written down as begun before anything is sent to the device; if the server
dies meanwhile, its report is "interrupted", and it is never begun again by itself.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import paramiko

from compagnon.auth.model import Member
from compagnon.kernel import Kernel
from compagnon_agent.protocol.checks import (
    Check,
    CheckError,
    CheckResult,
    Outcome,
    bind_checks,
    command_of,
    is_read_only,
)
from compagnon_agent.protocol.manifest import ManifestStep, RunOn, Shell, digest, prepare, values_digest
from compagnon_agent.protocol.messages import (
    OUTPUT_LIMIT,
    CheckRequest,
    Execute,
    Phase,
    StepResult,
    StepState,
    decode,
    encode,
)  # fmt: skip
from compagnon_agent.protocol.output import Tail, plain
from compagnon_agent.protocol.parameters import ParameterError, validate_all
from compagnon_agent.protocol.reports import fitting, refusal, report
from compagnon_agent.protocol.verdict import compare, finish
from compagnon_agent.protocol.wire import JSON
from remote.ssh import leases_store, looking
from remote.ssh.connector import Connector, in_thread
from remote.ssh.consents import Asked, Consents
from remote.ssh.errors import Broken
from remote.ssh.model import Device
from remote.ssh.running import Ran, run, shell_argv

CHECKS_LIMIT = 180.0  # seconds for all checks of one step
ONE_CHECK = 15.0
LOOK_AGAIN = 5.0
TEXT_LIMIT = 1_200_000  # bytes of a check's output
COMMAND = "a command check runs only as part of a consented procedure"
UNKNOWN = "the connection to the device broke while this ran: it may have gone on there, look before it is done again"
INTERRUPTED = "interrupted: the server stopped while this ran; look before it is done again"
NO_CONSENT = "nobody wrote down who agreed"


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a step did so far: kept when it is cut short."""

    printed: Tail
    code: int | None = None


class Steps:
    """``running`` are the attempts this process is at."""

    def __init__(self, kernel: Kernel, connector: Connector, consents: Consents) -> None:
        self._db = kernel.db
        self._connector = connector
        self._consents = consents
        self._running: set[str] = set()

    @property
    def running(self) -> list[str]:
        return list(self._running)

    # checks outside of a procedure

    async def look(self, device: Device, request: CheckRequest) -> tuple[CheckResult, ...]:
        """Read-only checks, no consent needed; private texts and commands are withheld. Raises what connecting does."""
        try:
            checks = bind_checks(request.checks, request.parameters)
        except (ParameterError, CheckError) as fault:
            return tuple(_failed(check, str(fault)) for check in request.checks)
        return await self._evaluate(device, checks, float(request.timeout), consented=False)

    async def _evaluate(
        self, device: Device, checks: Sequence[Check], timeout: float, *, consented: bool
    ) -> tuple[CheckResult, ...]:
        async with self._connector.connection(device) as client:
            return await in_thread(lambda: evaluate(client, checks, timeout, consented=consented))

    # steps

    async def result(self, device: Device, request: Execute, member: Member) -> StepResult:
        """Raises what connecting raises, when nothing could be begun.

        What another process is at (or was, when it was killed) is waited for; after 30 seconds without a sign of life
        it is taken for interrupted.
        """
        while True:
            found = await self.attempt(device, request, member)
            if found is not None:
                return found
            await asyncio.sleep(LOOK_AGAIN)

    async def attempt(self, device: Device, request: Execute, member: Member) -> StepResult | None:
        """The result, also of an earlier time; None while it is being made. Raises when nothing could be begun."""
        known = await self._known(request)
        if known is not None or request.attempt_id in self._running:
            return known
        try:
            values = validate_all(request.manifest.parameters, request.parameters)
            step = prepare(request.manifest, request.step_id, values)
        except (ParameterError, CheckError) as fault:
            return refusal(request, str(fault))
        except KeyError:
            return refusal(request, "this procedure has no such step")
        asked = Asked(
            machine_id=device.machine_id, ticket_id=request.ticket_id, digest=digest(request.manifest),
            values_digest=values_digest(values),
        )  # fmt: skip
        consented = await self._consents.find(asked) is not None
        if not consented and not _only_looks(request, step):
            return refusal(request, NO_CONSENT, needs_consent=True)
        return await self._begun(device, request, step, member, consented=consented)

    async def _known(self, request: Execute) -> StepResult | None:
        async with self._db.connection() as conn:
            row = await leases_store.attempt(conn, request.attempt_id)
        if row is None:
            return None
        if row.result is not None:
            found = decode(json.dumps(row.result))
            return found if isinstance(found, StepResult) else None
        if row.alive or request.attempt_id in self._running:
            return None
        result = report(request, StepState.FAILED, row.started_at, reason=INTERRUPTED)
        return await self._keep(request, result)

    async def _begun(
        self, device: Device, request: Execute, step: ManifestStep, member: Member, *, consented: bool
    ) -> StepResult | None:
        """Connected first: what cannot be reached was not begun, and may be asked for again."""
        self._running.add(request.attempt_id)
        try:
            client = await self._connector.connect(device, member)
            try:
                async with self._db.transaction() as conn:
                    if not await leases_store.begin(conn, request.attempt_id, device.machine_id):
                        return None
                return await self._keep(request, await self._made(client, request, step, consented=consented))
            finally:
                await in_thread(client.close)
        finally:
            self._running.discard(request.attempt_id)

    async def _made(
        self, client: paramiko.SSHClient, request: Execute, step: ManifestStep, *, consented: bool
    ) -> StepResult:
        started, progress = datetime.now(UTC), Progress(printed=Tail(OUTPUT_LIMIT))
        try:
            if request.phase is not Phase.EXECUTE:
                results = await in_thread(lambda: evaluate(client, step.checks, CHECKS_LIMIT, consented=consented))
                return _looked(request, results, started)
            return await self._commands(client, request, step, started, progress)
        except asyncio.CancelledError:
            client.close()
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            return _cut_short(request, started, progress, "cancelled: it may have gone on at the device")
        except (Broken, paramiko.SSHException, EOFError, OSError):
            return _cut_short(request, started, progress, UNKNOWN)

    async def _commands(
        self, client: paramiko.SSHClient, request: Execute, step: ManifestStep, started: datetime, progress: Progress
    ) -> StepResult:
        """In order; the first that fails ends the step."""
        for command in step.commands:
            if command.run_on is not RunOn.AGENT:
                continue
            if command.shell is not Shell.SH:
                return _cut_short(request, started, progress, f"this device has no {command.shell}")
            argv = shell_argv(command.script)
            ran = await in_thread(
                lambda argv=argv, timeout=command.timeout: run(client, argv, timeout=timeout, limit=OUTPUT_LIMIT)  # type: ignore[misc]
            )
            progress.printed.feed(ran.stdout)
            progress.code = ran.exit_code
            if ran.exit_code != 0:
                return _cut_short(request, started, progress, _why(ran, command.timeout))
        output = plain(progress.printed.value())
        return report(request, StepState.DONE, started, output=output, exit_code=progress.code)

    async def _keep(self, request: Execute, result: StepResult) -> StepResult:
        """The journalled result: ours, or the one that was kept first."""
        result = fitting(result)
        async with self._db.transaction() as conn:
            await leases_store.finish(conn, request.attempt_id, json.loads(encode(result)))
        return result


def evaluate(
    client: paramiko.SSHClient, checks: Sequence[Check], timeout: float, *, consented: bool
) -> tuple[CheckResult, ...]:
    """One result for each, in order. Blocking. Raises Broken when the connection is gone."""
    deadline = time.monotonic() + timeout
    return tuple(_one(client, check, deadline, consented=consented) for check in checks)


def _one(client: paramiko.SSHClient, check: Check, deadline: float, *, consented: bool) -> CheckResult:
    started = time.monotonic()
    if check.attributes.get("skip") is True:
        return finish(check, Outcome.PASSED, {}, "left out", started)
    if not is_read_only(check) and not consented:
        return _failed(check, COMMAND)
    limit = min(_limit_of(check), deadline - started)
    if limit <= 0:
        return _failed(check, "not reached in the time given")
    try:
        found = _observe(client, check, limit, consented=consented)
    except looking.NotHere as fault:
        return finish(check, Outcome.UNSUPPORTED, {}, str(fault), started)
    except looking.NoAnswer as fault:
        return finish(check, Outcome.ERROR, {}, str(fault), started)
    outcome, shown, reason = found
    return finish(check, outcome, shown, reason, started)


def _observe(
    client: paramiko.SSHClient, check: Check, limit: float, *, consented: bool
) -> tuple[Outcome, dict[str, JSON], str]:
    script = command_of(check) if check.resource == "command" else looking.script(check, consented=consented)
    ran = run(client, shell_argv(script), timeout=limit, merge=False, limit=TEXT_LIMIT)
    if ran.exit_code is None:
        raise looking.NoAnswer(f"no end within {limit:.0f} s" if ran.timed_out else "the connection broke")
    if check.resource == "command":
        out: list[JSON] = [*plain(ran.stdout).splitlines()]
        err: list[JSON] = [*plain(ran.stderr).splitlines()]
        return compare(check, {"exit-status": ran.exit_code, "stdout": out, "stderr": err})
    answer = looking.read(ran.stdout.decode("utf-8", "replace"))
    found = looking.observed(check, answer)
    if check.resource == "os" and check.key not in looking.names_of_system(answer):
        return Outcome.FAILED, {}, f"this is {answer.first('id') or answer.first('system') or '?'}"
    return compare(check, found)


def _limit_of(check: Check) -> float:
    given = check.attributes.get("timeout")
    return given / 1000 + 1.0 if isinstance(given, int) and not isinstance(given, bool) else ONE_CHECK


def _failed(check: Check, reason: str) -> CheckResult:
    return finish(check, Outcome.ERROR, {}, reason, time.monotonic())


def _only_looks(request: Execute, step: ManifestStep) -> bool:
    return request.phase is not Phase.EXECUTE and all(map(is_read_only, step.checks))


def _why(ran: Ran, timeout: int) -> str:
    if ran.timed_out:
        return f"no end within {timeout} s: it may still run on the device"
    return UNKNOWN if ran.exit_code is None else f"exit status {ran.exit_code}"


def _looked(request: Execute, results: tuple[CheckResult, ...], started: datetime) -> StepResult:
    passed = bool(results) and all(result.outcome is Outcome.PASSED for result in results)
    reason = "" if results else "this step has no checks"
    return report(request, StepState.DONE if passed else StepState.FAILED, started, checks=results, reason=reason)


def _cut_short(request: Execute, started: datetime, progress: Progress, reason: str) -> StepResult:
    output = plain(progress.printed.value())
    return report(request, StepState.FAILED, started, reason=reason, output=output, exit_code=progress.code)

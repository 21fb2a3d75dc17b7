"""Requests to agents under way: sent in the background, their answers surely kept."""

from __future__ import annotations

import asyncio
import logging
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime

from compagnon.db import Connection
from compagnon.errors import AppError, Conflict, Invalid, NotFound
from compagnon.kernel import Kernel
from procedures.library.service import Library
from procedures.ports import (
    MachineGateway,
    Phase,
    ReportState,
    RunObserver,
    StepReport,
    StepRequest,
    TicketGate,
)
from procedures.runs import store
from procedures.runs.acts import Acts
from procedures.runs.asking import BY_HAND, only_looks, silence, step_request, there
from procedures.runs.board import found, plan_for
from procedures.runs.model import Attempt, Run, Visit

log = logging.getLogger(__name__)
VERIFY_TIMEOUT = 60.0  # seconds for all result checks of a procedure
ASK_EVERY = 1.0  # seconds


class Launching(Acts, ABC):
    def __init__(
        self,
        kernel: Kernel,
        library: Library,
        gateway: MachineGateway,
        gate: TicketGate,
        observers: Sequence[RunObserver] = (),
    ) -> None:
        super().__init__(kernel, library, gateway, gate, observers)
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def record_report(self, attempt_id: str, report: StepReport, *, machine_id: int | None = None) -> bool: ...

    async def _check_open_ticket(self, conn: Connection, run: Run) -> None:
        """From here to the end of the transaction the ticket stays open."""
        if run.ticket_id is None or run.machine_id is None:
            raise Invalid(BY_HAND)
        await self._gate.require_open(run.ticket_id, conn=conn)

    async def _insert(self, conn: Connection, run: Run, visit: Visit | None, phase: Phase, member_id: int) -> str:
        attempt_id, visit_id = str(uuid.uuid4()), visit.id if visit else None
        await store.ask(conn, attempt_id, run=run, visit_id=visit_id, phase=phase, member_id=member_id)
        return attempt_id

    async def _request_again(self, conn: Connection, attempt: Attempt) -> StepRequest:
        run = found(await store.get(conn, attempt.run_id))
        member = await self._members.get(attempt.member_id, conn=conn)
        plan = await plan_for(conn, run)
        return step_request(run, plan, attempt.id, attempt.step_id, Phase(attempt.phase), member)

    async def _due(self, conn: Connection, run: Run, attempt: Attempt) -> bool:
        if not run.active and not attempt.of_result:
            return False
        try:
            await self._check_open_ticket(conn, run)
        except (Conflict, Invalid, NotFound):
            return False
        return True

    # in the background

    def _launch(self, request: StepRequest, *, patience: float = 0) -> asyncio.Task[None]:
        task = asyncio.create_task(self._perform(request, patience), name=f"attempt {request.attempt_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _perform(self, request: StepRequest, patience: float) -> None:
        """Ask, for ``patience`` seconds again and again while the machine is out of reach, and keep the answer."""
        until = asyncio.get_running_loop().time() + patience
        report = await self._ask_gateway(request)
        while report.state is ReportState.UNREACHABLE and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(ASK_EVERY)
            if not await self._waited_for(request.attempt_id):
                return
            report = await self._ask_gateway(request)
        await self._record_surely(request.attempt_id, report)

    async def _waited_for(self, attempt_id: str) -> bool:
        async with self._db.connection() as conn:
            return there(await store.attempt(conn, attempt_id)).waiting

    async def _ask_gateway(self, request: StepRequest) -> StepReport:
        """Read-only result checks need no consent; all else is a step, which the client consents to."""
        try:
            if only_looks(request):
                return await self._look(request)
            return await self._gateway.execute_step(request)
        except AppError as error:
            return silence(str(error))
        except Exception:
            log.exception("the request %s failed", request.attempt_id)
            return silence("")

    async def _look(self, request: StepRequest) -> StepReport:
        started = datetime.now(UTC)
        results = await self._gateway.run_checks(
            request.machine_id,
            request.manifest.result,
            parameters=request.parameters,
            ticket_id=request.ticket_id,
            member_id=request.member_id,
            timeout=VERIFY_TIMEOUT,
        )
        checks, now = tuple(results), datetime.now(UTC)
        return StepReport(state=ReportState.DONE, output="", exit_code=None, checks=checks, started=started, ended=now)

    async def _record_surely(self, attempt_id: str, report: StepReport) -> None:
        """The report must not be lost to a database that restarts: record_report may be called again."""
        for delay in (0.2, 1, 3, 10, 30):
            try:
                await self.record_report(attempt_id, report)
                return
            except Conflict:
                pass  # somebody ended the step at the same moment; the next try only keeps the report
            except Exception:
                log.exception("the report of %s could not be kept yet", attempt_id)
            await asyncio.sleep(delay)
        log.error("the report of %s was given up; it is asked for again at the next start", attempt_id)

    async def settled(self) -> None:
        """Wait until no request is under way in this process (tests, orderly stops)."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

"""Background jobs: procrastinate on the same database, so that a job is queued with the change that asks for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import procrastinate
from procrastinate.schema import SchemaManager

from compagnon.db import Connection, Database

log = logging.getLogger(__name__)
Task = Callable[..., Awaitable[None]]
CONCURRENCY = 4
SILENCE = 20.0  # seconds without a sign of life after which a worker is taken for dead
AGAIN = 1.0  # seconds until the next try after a fault
PRESENT = "SELECT to_regclass('procrastinate_jobs') IS NOT NULL"


class Jobs:
    """Register tasks by name while wiring; queue them with ``defer``; ``start`` runs a worker in this process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.app = procrastinate.App(connector=procrastinate.PsycopgConnector())
        self._tasks: list[asyncio.Task[None]] = []

    def task(self, name: str, *, retry: int = 5) -> Callable[[Task], Task]:
        """Register an async function whose keyword arguments are JSON. It may run twice: make it idempotent."""

        def register(function: Task) -> Task:
            self.app.task(name=name, retry=procrastinate.RetryStrategy(max_attempts=retry, exponential_wait=3))(
                function
            )
            return function

        return register

    def periodic(self, name: str, *, cron: str) -> Callable[[Task], Task]:
        """Register ``async fn(timestamp: int)`` to run when a cron expression says, once in the installation."""

        def register(function: Task) -> Task:
            task = self.app.task(name=name, queueing_lock=name)(function)
            self.app.periodic(cron=cron)(task)
            return function

        return register

    async def defer(self, conn: Connection, name: str, *, at: datetime | None = None, **arguments: Any) -> None:  # noqa: ANN401
        """Queue a job inside the caller's transaction, to run after the commit, not before ``at``."""
        options: dict[str, Any] = {"connection": conn}
        if at is not None:
            options["schedule_at"] = at
        await self.app.configure_task(name, **options).defer_async(**arguments)

    async def open(self) -> None:
        """Use the opened database; jobs can be queued from now on."""
        await self.app.connector.open_async(self._db.pool)

    def start_worker(self) -> None:
        """Run the queued jobs in this process until ``stop``, whatever becomes of the database in the meantime."""
        work = (self._work, "jobs"), (self._take_up_what_was_left, "left jobs")
        self._tasks = [asyncio.create_task(_for_ever(once), name=name) for once, name in work]

    async def _work(self) -> None:
        """One worker's life: it ends when PostgreSQL is restarted."""
        await self.app.run_worker_async(
            concurrency=CONCURRENCY,
            install_signal_handlers=False,
            delete_jobs="successful",
            shutdown_graceful_timeout=2.0,
            update_heartbeat_interval=SILENCE / 4,
            stalled_worker_timeout=SILENCE,
        )

    async def _take_up_what_was_left(self) -> None:
        """Queue the jobs again that a worker had begun when it was killed: they may run twice, never not at all."""
        manager = self.app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=SILENCE):
            log.warning("job %s (%s) is run again: its worker is gone", job.id, job.task_name)
            await manager.retry_job(job)
        await asyncio.sleep(SILENCE / 4)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _for_ever(once: Callable[[], Awaitable[None]]) -> None:
    """Again and again until cancelled; a fault is logged and does not end it."""
    me = asyncio.current_task()
    while me is None or not me.cancelling():  # a worker that is cancelled may end as if it were done
        try:
            await once()
        except Exception as error:
            log.warning("background jobs are interrupted (%s); starting again", type(error).__name__)
            await asyncio.sleep(AGAIN)


async def install_schema(db: Database) -> None:
    """Create procrastinate's own tables on a new database."""
    async with db.transaction() as conn:
        row = await (await conn.execute(PRESENT)).fetchone()
        if row and not row[0]:
            await conn.execute(SchemaManager.get_schema())

"""Background jobs: procrastinate on the same database, so that a job is queued with the change that asks for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import procrastinate
from procrastinate.schema import SchemaManager

from compagnon.db import Connection, Database

Task = Callable[..., Awaitable[None]]
CONCURRENCY = 4
PRESENT = "SELECT to_regclass('procrastinate_jobs') IS NOT NULL"


class Jobs:
    """Register tasks by name while wiring; queue them with ``defer``; ``start`` runs a worker in this process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.app = procrastinate.App(connector=procrastinate.PsycopgConnector())
        self._worker: asyncio.Task[None] | None = None

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
        """Run the queued jobs in this process until ``stop``."""
        running = self.app.run_worker_async(
            concurrency=CONCURRENCY,
            install_signal_handlers=False,
            delete_jobs="successful",
            shutdown_graceful_timeout=2.0,
        )
        self._worker = asyncio.create_task(running, name="jobs")

    async def stop(self) -> None:
        if self._worker:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker


async def install_schema(db: Database) -> None:
    """Create procrastinate's own tables on a new database."""
    async with db.transaction() as conn:
        row = await (await conn.execute(PRESENT)).fetchone()
        if row and not row[0]:
            await conn.execute(SchemaManager.get_schema())

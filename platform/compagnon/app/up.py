"""``compagnon up``: PostgreSQL, tables, server and, for the demo, an agent; one sentence for whatever goes wrong."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace

from compagnon.app.database import database_address, prepare
from compagnon.app.demo import PASSWORD, Demo, accounts, load
from compagnon.app.demo_agent import beside
from compagnon.app.server import Server, listen, uvicorn_config
from compagnon.app.settling import settling
from compagnon.app.wiring import build_app, build_services, running
from compagnon.db.pool import probe
from compagnon.settings import Settings, SettingsError


class Progress:
    """Prints what is being done and how long it took."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def done(self, what: str) -> None:
        now = time.monotonic()
        print(f"  {what} ({now - self._last:.1f} s)", flush=True)
        self._last = now


def run(settings: Settings, *, demo: bool) -> int:
    """Serve until Ctrl-C or SIGTERM. Raises SettingsError or DatabaseError with one sentence."""
    progress = Progress()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also while starting: stop in order
    with _only_one(settings), listen(settings) as sock:
        settings = _with_address(settings, sock)
        with database_address(settings) as url:
            asyncio.run(_serve(settings, url, sock, progress, demo=demo))
    print("Stopped.", flush=True)
    return 0


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """Hold the data folder: an embedded database belongs to one server. On a database of their own several share it."""
    kind = fcntl.LOCK_SH if settings.database_url else fcntl.LOCK_EX
    handle = os.open(settings.data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise SettingsError(
            f"Compagnon already runs on {settings.data_dir}; stop it, or set COMPAGNON_DATA_DIR."
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def _with_address(settings: Settings, sock: socket.socket) -> Settings:
    """With port 0 the real port is known only now."""
    port = sock.getsockname()[1]
    if settings.public_url != f"http://{settings.host}:{settings.port}":
        return replace(settings, port=port)
    return replace(settings, port=port, public_url=f"http://{settings.host}:{port}")


async def _serve(settings: Settings, url: str, sock: socket.socket, progress: Progress, *, demo: bool) -> None:
    await probe(url)
    progress.done("PostgreSQL is ready")
    applied = await prepare(url)
    progress.done(f"Tables are up to date ({len(applied)} migrations applied)")
    loaded = await _load_demo(settings, url, progress) if demo else None
    services = build_services(settings, url)
    server = Server(
        uvicorn_config(build_app(services), settings), when_ready=lambda: _say_where(settings, progress, loaded)
    )
    async with AsyncExitStack() as stack:
        if loaded and loaded.owner and loaded.client_id:
            agent = beside(services, server, loaded.owner, loaded.client_id, progress.done)
            await stack.enter_async_context(agent)
        await stack.enter_async_context(settling(server.ready))
        await server.serve(sockets=[sock])
    if not server.started:
        raise SettingsError("The server could not start; the reason is logged above.")


async def _load_demo(settings: Settings, url: str, progress: Progress) -> Demo:
    """In services of its own: the server's are opened by its own start."""
    services = build_services(settings, url)
    async with running(services, background=False):
        loaded = await load(services)
    progress.done("Starter library and demo data are there")
    return loaded


def _say_where(settings: Settings, progress: Progress, loaded: Demo | None) -> None:
    progress.done("The server answers")
    print(f"\n  Compagnon: {settings.public_url}\n")
    if loaded:
        print(f"  Accounts of the demo, all with the password: {PASSWORD}")
        for account in accounts():
            print(f"    {account.email:<24} {account.name}, {account.role}")
    print("\n  Stop with Ctrl-C.\n", flush=True)

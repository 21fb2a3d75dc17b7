"""``compagnon-agent run``: one agent on one state folder, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass

from . import local
from .agent import Agent
from .consent import has_display
from .control import Control, Stopped
from .desk.core import desk_folder
from .identity import Identity
from .memory import watching_memory
from .notify import Notifier
from .protocol.messages import EndReason
from .protocol.wire import JSON
from .settings import Settings, SettingsError
from .store import Store

LOCK_FILE = "agent.lock"
FAREWELL = 3.0
"""Seconds for sessions to end and last messages to leave when the agent is told to stop."""


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Two agents on one folder would run a step twice: the second one is refused."""
    descriptor = os.open(settings.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise SettingsError(f"An agent is already running on {settings.folder}.") from None
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why it ended: the server's reason for revoking the machine, or empty; ``again``: it wants to be started anew."""

    revoked: str = ""
    again: bool = False


async def serve(settings: Settings, identity: Identity) -> Ending:
    """Until it is told to stop, revoked, or wants to be started again."""
    store = Store(settings.folder)
    agent = Agent(settings, identity, store)
    control = Control(agent)
    told = asyncio.Event()
    notifier = Notifier.of()
    _on_signals(told)
    try:
        async with (
            local.door(settings.folder, lambda command: _answer(command, agent, control)),
            _helpers(agent),
            notifier.attending(lambda: f"{control.status.state} {control.status.trouble}"),
            watching_memory(agent),
        ):
            ending = await _until(told, control, agent)
            if not ending.again:
                notifier.tell(STOPPING=1)
            return ending
    finally:
        await agent.close()
        store.close()


def _helpers(agent: Agent) -> AbstractAsyncContextManager[None]:
    """A core without a screen of its own listens to the helpers of those who have one."""
    folder = desk_folder()
    if sys.platform == "win32" or folder is None or has_display():
        return contextlib.nullcontext()
    return agent.desk.listening(folder)


async def _until(told: asyncio.Event, control: Control, agent: Agent) -> Ending:
    jobs = (control.run(), agent.scheduled.run(), _set(told), _set(agent.again))
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not done & set(tasks[:2]):
            await _farewell(agent)
            return Ending(again=agent.again.is_set() and not told.is_set())
        for task in done:
            task.result()
    except Stopped as fault:
        return Ending(revoked=str(fault) or "This machine was revoked.")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Ending()


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _farewell(agent: Agent) -> None:
    for session in agent.host.sessions.values():
        session.end(EndReason.LOST)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FAREWELL):
            await agent.host.emptied()


def _on_signals(told: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, told.set)


def _answer(command: str, agent: Agent, control: Control) -> dict[str, JSON]:
    """One command through the local door."""
    if command == "status":
        status = control.status
        return {
            "state": status.state,
            "since": status.since.isoformat() if status.since else None,
            "trouble": status.trouble,
            "sessions": [
                {"id": session.id, "member": session.request.member_name, "ticket": session.request.ticket_id,
                 "capability": session.request.capability, "target": session.request.target}
                for session in agent.host.sessions.values()
            ],
            "grants": [
                {"kind": grant.kind, "ticket": grant.ticket_id, "what": grant.procedure or grant.capability,
                 "until": grant.until.isoformat()}
                for grant in agent.store.grants(agent.clock.now())
            ],
        }  # fmt: skip
    if command == "rotate-key":
        return {"begun": control.rotate_key()}
    if command.startswith("trust "):
        return {"trusted": control.rotation.trust(command)}
    if command == "stop-session":
        return {"stopped": agent.host.stop()}
    if command.startswith("stop-session "):
        return _stop_one(command.removeprefix("stop-session ").strip(), agent)
    if command == "withdraw-policy":
        return {"withdrawn": agent.withdraw_agreement()}
    if command == "withdraw":
        return {"withdrawn": agent.withdraw_all()}
    return {"error": "unknown command"}


def _stop_one(named: str, agent: Agent) -> dict[str, JSON]:
    """By the beginning of its id, as ``status`` shows it, or by its capability (all of that kind)."""
    sessions = agent.host.sessions.values()
    found = [item.id for item in sessions if item.id.startswith(named) or item.request.capability == named]
    if not found or not named:
        return {"error": f"no session {named[:40]} is open", "stopped": 0}
    return {"stopped": sum(agent.host.stop(session_id) for session_id in found)}

"""``compagnon identity …``: the key by which the agents know this server, and the one that will follow it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from compagnon import audit
from compagnon.app.commands import member_of, with_services
from compagnon.app.wiring import Services
from compagnon.audit import Actor
from compagnon.auth.model import Role
from compagnon.settings import Settings, SettingsError
from compagnon_agent.protocol.signing import long_fingerprint
from remote.control import identity


def show(settings: Settings, arguments: argparse.Namespace) -> int:
    present = identity.Identity.load(settings.data_dir)
    print(f"Key in use: {long_fingerprint(present.public)}")
    if present.successor is None:
        print("No other key is prepared.")
        return 0
    print(f"Prepared to follow: {long_fingerprint(present.successor)}")

    async def count(services: Services) -> int:
        since = identity.prepared_at(settings.data_dir)
        away = await services.remote.machines.not_seen_since(since) if since else 0
        print(f"Machines that have not been connected since then, and do not know it: {away}")
        return 0

    return with_services(settings, count)


def prepare(settings: Settings, arguments: argparse.Namespace) -> int:
    async def work(services: Services) -> int:
        try:
            await _written_down(services, arguments.author, "prepared", lambda: identity.prepare(settings.data_dir))
        except FileExistsError:
            raise SettingsError("a key is prepared already: switch to it, or cancel it") from None
        print("Prepared. The running server tells it to its agents within seconds, to all others when they connect.")
        return 0

    return with_services(settings, work)


def switch(settings: Settings, arguments: argparse.Namespace) -> int:
    return _on_the_prepared(settings, arguments, "switched", identity.switch, "Switched. Restart the server now.")


def cancel(settings: Settings, arguments: argparse.Namespace) -> int:
    return _on_the_prepared(settings, arguments, "cancelled", identity.cancel, "The prepared key is gone.")


def _on_the_prepared(
    settings: Settings, arguments: argparse.Namespace, verb: str, act: Callable[[Path], None], said: str
) -> int:
    async def work(services: Services) -> int:
        try:
            await _written_down(services, arguments.author, verb, lambda: act(settings.data_dir))
        except FileNotFoundError:
            raise SettingsError("no key is prepared: 'compagnon identity prepare' makes one") from None
        print(said)
        return 0

    return with_services(settings, work)


async def _written_down(services: Services, author: str, verb: str, act: Callable[[], object]) -> None:
    """The record is committed only when the file is in place; a record that fails leaves the file as it was."""
    member = await member_of(services, author)
    if member.role is not Role.ADMINISTRATOR:
        raise SettingsError("only an administrator may change the server's identity")
    folder = services.kernel.settings.data_dir
    async with services.kernel.db.transaction() as conn:
        key = identity.successor(folder)
        details = {"successor": long_fingerprint(key)} if key else {}
        await audit.record(
            conn, actor=Actor.member(member.id), action=f"identity.{verb}", subject="identity:server", details=details
        )
        act()

"""What each command of the CLI does, on the same services as the web."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from compagnon.app.database import database_address, prepare
from compagnon.app.interrupts import nothing_begun
from compagnon.app.wiring import Services, build_services, running
from compagnon.audit import verify
from compagnon.auth.model import Member, Role
from compagnon.errors import NotFound
from compagnon.settings import Settings, SettingsError

Work = Callable[[Services], Awaitable[int]]


def with_services(settings: Settings, work: Work) -> int:
    """Migrate, open the services without background work, run ``work``, leave everything as it was found."""
    with database_address(settings, keep_running=True) as url:
        return asyncio.run(_run(settings, url, work))


async def _run(settings: Settings, url: str, work: Work) -> int:
    await prepare(url)
    services = build_services(settings, url)
    async with running(services, background=False):
        return await work(services)


def up(settings: Settings, arguments: argparse.Namespace) -> int:
    with nothing_begun():
        from compagnon.app.up import run

    return run(settings, demo=arguments.demo)


def migrate(settings: Settings, arguments: argparse.Namespace) -> int:
    with database_address(settings, keep_running=True) as url:
        applied = asyncio.run(prepare(url))
    for migration in applied:
        print(f"applied {migration.package}/{migration.name}")
    print("The database is up to date.")
    return 0


def demo(settings: Settings, arguments: argparse.Namespace) -> int:
    from compagnon.app.demo import load

    async def work(services: Services) -> int:
        await load(services)
        return 0

    return with_services(settings, work)


def member_add(settings: Settings, arguments: argparse.Namespace) -> int:
    password = _password(arguments.password_file)

    async def work(services: Services) -> int:
        member = await services.kernel.members.create(
            email=arguments.email, name=arguments.name, role=Role(arguments.role), password=password
        )
        print(f"Added {member.name} <{member.email}>, {member.role}.")
        return 0

    return with_services(settings, work)


def _password(file: str | None) -> str:
    if file == "-":
        return sys.stdin.readline().rstrip("\n")
    if file:
        try:
            return Path(file).read_text().rstrip("\n")
        except OSError as error:
            raise SettingsError(f"{file} cannot be read ({error.strerror})") from None
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        raise SettingsError("The two passwords differ.")
    return first


def procedures_import(settings: Settings, arguments: argparse.Namespace) -> int:
    files = sorted(file for path in arguments.paths for file in _markdown_files(Path(path)))

    async def work(services: Services) -> int:
        author = await member_of(services, arguments.author)
        failed = 0
        for file in files:
            failed += not await _import_one(services, author, file, publish=arguments.publish)
        print(f"{len(files) - failed} imported, {failed} refused.")
        return 1 if failed else 0

    return with_services(settings, work)


async def _import_one(services: Services, author: Member, file: Path, *, publish: bool) -> bool:
    from compagnon.errors import AppError
    from procedures.format import FormatError

    try:
        version = await services.procedures.library.import_text(_read(file), author, publish=publish)
    except (AppError, FormatError, OSError, UnicodeDecodeError) as error:
        print(f"{file}: {error}", file=sys.stderr)
        return False
    state = f"version {version.number} in force" if version.number else f"draft {version.id}"
    print(f"{file}: {version.code} ({version.locale}), {state}")
    return True


def _read(file: Path) -> str:
    return file.read_text("utf-8")


def _markdown_files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.rglob("*.md"))
    if not path.exists():
        raise SettingsError(f"{path} does not exist")
    return [path]


async def member_of(services: Services, email: str) -> Member:
    """The member with this address. Raises NotFound."""
    member = await services.kernel.members.by_email(email)
    if member is None:
        raise NotFound("No member has the address {email}.", email=email)
    return member


def reindex(settings: Settings, arguments: argparse.Namespace) -> int:
    async def work(services: Services) -> int:
        def show(done: int, total: int) -> None:
            print(f"\r{done} of {total} documents", end="", flush=True)

        count = await services.kb.search.reindex(progress=show)
        print(f"\nThe search index holds {count} documents.")
        return 0

    return with_services(settings, work)


def audit_verify(settings: Settings, arguments: argparse.Namespace) -> int:
    async def work(services: Services) -> int:
        async with services.kernel.db.connection() as conn:
            found = await verify(conn)
        if found.broken is not None:
            print(f"BROKEN at record {found.broken}: {found.reason}.", file=sys.stderr)
            return 1
        print(f"{found.records} records, the chain is whole.")
        reports = await services.remote.recordings.verify_all()
        broken = [(recording, report) for recording, report in reports if not report.sound]
        for recording, report in broken:
            print(f"BROKEN recording {recording.session_id}: {report.problem}.", file=sys.stderr)
        print(f"{len(reports) - len(broken)} of {len(reports)} recordings are whole.")
        return 1 if broken else 0

    return with_services(settings, work)

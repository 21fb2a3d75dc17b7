"""The command line of the server: ``compagnon <command>``.

What takes long to import is imported inside ``main``, where a Ctrl-C ends in silence.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from compagnon import __version__
from compagnon.app.interrupts import INTERRUPTED, nothing_begun


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 done, 1 refused or failed (one sentence on stderr), 2 wrong usage."""
    try:
        with nothing_begun():
            arguments = parser().parse_args(argv)
        return _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    from compagnon.db import DatabaseError
    from compagnon.errors import AppError
    from compagnon.settings import Settings, SettingsError, prepare_data_dir

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = prepare_data_dir(Settings.load())
        logging.getLogger().setLevel(settings.log_level.upper())
        _quiet_libraries()
        return int(arguments.run(settings, arguments))
    except (SettingsError, DatabaseError, AppError) as error:
        print(f"compagnon: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """All commands; each carries the function that runs it as ``run(settings, arguments) -> int``."""
    top = argparse.ArgumentParser(prog="compagnon", description="Procedures, tickets and remote maintenance.")
    top.add_argument("--version", action="version", version=f"compagnon {__version__}")
    sub = top.add_subparsers(dest="command", required=True, metavar="command")
    _add_server_commands(sub)
    _add_data_commands(sub)
    return top


def _add_server_commands(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from compagnon.app import commands

    up = sub.add_parser("up", help="start the server (and PostgreSQL, when none is given)")
    up.add_argument("--demo", action="store_true", help="load the demo data and start an agent on this machine")
    up.set_defaults(run=commands.up)
    migrate = sub.add_parser("migrate", help="bring the database up to date")
    migrate.set_defaults(run=commands.migrate)
    demo = sub.add_parser("demo", help="load the starter library and the demo data")
    demo.set_defaults(run=commands.demo)


def _add_data_commands(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from compagnon.app import commands

    member = sub.add_parser("member", help="members").add_subparsers(required=True, metavar="action")
    add = member.add_parser("add", help="add a member; the first administrator is made this way")
    add.add_argument("email")
    add.add_argument("--name", required=True)
    add.add_argument("--role", choices=("member", "reviewer", "administrator"), default="member")
    add.add_argument("--password-file", help="read the password from a file (- for standard input) instead of asking")
    add.set_defaults(run=commands.member_add)
    procedures = sub.add_parser("procedures", help="procedures").add_subparsers(required=True, metavar="action")
    load = procedures.add_parser("import", help="import Markdown files or folders, as drafts unless --publish is given")
    load.add_argument("paths", nargs="+")
    load.add_argument("--author", required=True, help="e-mail of the member in whose name they are imported")
    load.add_argument(
        "--publish",
        action="store_true",
        help="put them in force at once, without a review; the author must be an administrator (audited)",
    )
    load.set_defaults(run=commands.procedures_import)
    _add_articles_commands(sub)
    _add_release_commands(sub)
    _add_identity_commands(sub)
    reindex = sub.add_parser("reindex", help="build the search index anew from the database")
    reindex.set_defaults(run=commands.reindex)
    audit = sub.add_parser("audit", help="audit log").add_subparsers(required=True, metavar="action")
    verify = audit.add_parser("verify", help="recompute the chains of the audit log and of every recording")
    verify.set_defaults(run=commands.audit_verify)


def _add_articles_commands(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from compagnon.app.articles_command import articles_import

    articles = sub.add_parser("articles", help="articles").add_subparsers(required=True, metavar="action")
    load = articles.add_parser("import", help="import a folder of documents, or bring an earlier import up to date")
    load.add_argument("folder")
    load.add_argument("--author", required=True, help="e-mail of the administrator in whose name they are imported")
    load.add_argument("--name", help="name of the source; the folder's own when it is not given")
    load.add_argument("--format", help="alchemy, mallard, rocky, runbooks or notes; found out when it is not given")
    load.add_argument("--licence", help="licence of the documents, where neither they nor their format say it")
    load.add_argument("--language", choices=("fr", "en"), help="language of the documents, where they do not say it")
    load.set_defaults(run=articles_import)


def _add_release_commands(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from compagnon.app import release_command as releases

    group = sub.add_parser("agent-release", help="versions of the agent").add_subparsers(
        required=True, metavar="action"
    )
    keygen = group.add_parser("keygen", help="make the release key; keep its file off the server")
    keygen.add_argument("file")
    keygen.add_argument(
        "--passphrase-file", help="seal the key with the first line of this file (- for standard input)"
    )
    keygen.set_defaults(run=releases.keygen)
    trust = group.add_parser("trust", help="tell the server the public half of the release key")
    trust.add_argument("key", help="as keygen printed it (base64)")
    trust.add_argument("--author", required=True, help="e-mail of the administrator in whose name it is done")
    trust.set_defaults(run=releases.trust)
    sign = group.add_parser("sign", help="make a release of this version's agent and sign it")
    sign.add_argument("key", help="file of the release key")
    sign.add_argument("--counter", type=int, required=True, help="higher than that of every release before")
    sign.add_argument("--minimum", default="0.1.0", help="the oldest version that may change over to it")
    sign.add_argument("--days", type=int, default=90, help="how long it may be installed (1 to 730 days)")
    sign.add_argument("--folder", default=".", help="where the manifest and the file are written")
    sign.add_argument("--passphrase-file", help="the passphrase of the key (- for standard input)")
    sign.set_defaults(run=releases.sign)
    publish = group.add_parser("publish", help="hand a signed release to the server")
    publish.add_argument("manifest")
    publish.add_argument("file")
    publish.add_argument("--share", type=int, default=5, help="per cent of the machines it is offered to at first")
    publish.add_argument("--author", required=True, help="e-mail of the administrator in whose name it is done")
    publish.set_defaults(run=releases.publish)


def _add_identity_commands(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from compagnon.app import identity_command as identity

    group = sub.add_parser("identity", help="the key by which the agents know this server").add_subparsers(
        required=True, metavar="action"
    )
    group.add_parser("show", help="the key in use, and the one that will follow").set_defaults(run=identity.show)
    for name, run, text in (
        ("prepare", identity.prepare, "make the key that will follow; the server announces it to its agents"),
        ("switch", identity.switch, "put the prepared key in the place of the old one, for the next start"),
        ("cancel", identity.cancel, "give the prepared key up"),
    ):
        action = group.add_parser(name, help=text)
        action.add_argument("--author", required=True, help="e-mail of the administrator in whose name it is done")
        action.set_defaults(run=run)


def _quiet_libraries() -> None:
    for name in ("procrastinate", "psycopg.pool", "asyncio", "websockets", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())

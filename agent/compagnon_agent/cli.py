"""``compagnon-agent``: enrol this machine, run the agent, look at it, stop it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import __version__, agreements, audit, identity, local, policy, uninstall
from .checks.system import identify
from .enrol import EnrolmentError, enrol
from .protocol.signing import fingerprint
from .release_key import ReleaseKey
from .restart import start_again
from .run import only_one, serve
from .service.install import install
from .service.plan import ServiceError
from .settings import Settings, SettingsError, private_folder, write_private

log = logging.getLogger("compagnon_agent")


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="compagnon-agent", description="The agent of Compagnon on a client's machine.")
    main.add_argument("--version", action="version", version=f"compagnon-agent {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state-dir", type=Path, help="private folder of the agent (or COMPAGNON_AGENT_DIR)")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[common])

    enrolment = add("enroll", "Enrol this machine with the code that the technician reads out.")
    enrolment.add_argument("url", help="https://compagnon.example.org")
    enrolment.add_argument("code", nargs="+", help="the code: words or digits")
    enrolment.add_argument("--name", default="", help="how the machine is called in Compagnon")
    enrolment.add_argument("--force", action="store_true", help="enrol again, with a new key")
    enrolment.add_argument("--allow-http", action="store_true", help="accept an address without TLS")
    running = add("run", "Run the agent until it is told to stop.")
    running.add_argument("--root-note", default="", help="a sentence about this root, shown on the machine's page")
    running.add_argument("--verbose", action="store_true", help="say more")
    add("status", "Say whether the agent runs, is connected, and what it has agreed to.")
    rules = add("policy", "Show what this machine grants without asking.")
    rules.add_argument("--withdraw", action="store_true", help="take back what was agreed to beforehand")
    stopping = add("stop-session", "End the open remote sessions now, or one of them.")
    stopping.add_argument(
        "session", nargs="?", default="", help="its id or kind, as status shows them (all if left out)"
    )
    add("withdraw", "Take back every consent; sessions and running steps stop.")
    add("helper", "Show the agent's questions on this desktop (started with it, as the person who is there).")
    trusting = add("trust-server", "Trust the server's new key, whose digits a technician has read out.")
    trusting.add_argument("digits", nargs="+", help="twenty-four digits")
    add("rotate-key", "Make a new key for this machine; the old one is forgotten once the server knows it.")
    add("audit", "Verify the machine's own record of requests and decisions.")
    trust = add("trust-releases", "Pin the co-operative's release key: versions that it signs are taken by themselves.")
    trust.add_argument("key", help="the key as the administrator gives it (base64)")
    testing = add("self-test", "Say whether this version would work here.")
    testing.add_argument("--expect", default="", help="the version that this must be")
    add("install-service", "Start the agent with the machine (as root), or with this account.")
    removal = add("uninstall", "Remove the service and everything the agent keeps.")
    removal.add_argument("--yes", action="store_true", help="do not ask")
    return main


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    try:
        settings = Settings.load(folder=options.state_dir, root_note=getattr(options, "root_note", ""))
        status = COMMANDS[options.command](settings, options)
    except (SettingsError, policy.PolicyError, EnrolmentError, ServiceError) as fault:
        sys.exit(f"compagnon-agent: {fault}")
    except (OSError, sqlite3.Error) as fault:
        sys.exit(f"compagnon-agent: {fault}")
    except local.NotRunning:
        sys.exit(f"compagnon-agent: no agent is running on {settings.folder}.")
    sys.exit(status)


def _enrol(settings: Settings, options: argparse.Namespace) -> int:
    folder = private_folder(settings.folder)
    known = identity.load(folder)
    if known and not options.force:
        raise EnrolmentError(f"This machine is enrolled already with {known.server} (--force enrols it again).")
    with only_one(settings):
        if options.force:
            identity.forget(folder)
        done = enrol(folder, options.url, " ".join(options.code), name=options.name, allow_http=options.allow_http)
        if not (folder / policy.POLICY_FILE).exists():
            write_private(folder / policy.POLICY_FILE, policy.DEFAULT.encode())
    waiting = " A technician must approve it now." if done.state == "pending" else ""
    print(f"Enrolled as machine {done.machine_id}.{waiting}")
    digits = fingerprint(identity.public_bytes(identity.key_of(folder)))
    print(f"Read these digits out: the technician sees the same ones.  {digits}")
    return 0


def _enrolled(settings: Settings) -> identity.Identity:
    known = identity.load(private_folder(settings.folder))
    if known is None:
        raise SettingsError("this machine is not enrolled yet: run 'compagnon-agent enroll URL CODE' first")
    return known


def _run(settings: Settings, options: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("websockets").setLevel(logging.WARNING)
    known = _enrolled(settings)
    policy.load(settings.folder)
    with only_one(settings):
        ending = asyncio.run(serve(settings, known))
    if ending.again:
        start_again()
    if ending.revoked:
        log.error("the server revoked this machine: %s", ending.revoked)
        return 3
    return 0


def _status(settings: Settings, _options: argparse.Namespace) -> int:
    known = _enrolled(settings)
    observed, _ = identify()
    print(f"Machine {known.machine_id} ({observed['id']} {observed['version']}) of {known.server}")
    try:
        answer = local.call(settings.folder, "status")
    except local.NotRunning:
        print("The agent is not running.")
        return 1
    print(f"The agent is running: {answer.get('state')} {answer.get('trouble') or ''}".rstrip())
    for item in _objects(answer.get("sessions")):
        what = " ".join(str(item.get(name) or "") for name in ("capability", "target")).strip()
        print(f"Open session: {item['member']}, ticket {item['ticket']}, {what} ({str(item['id'])[:8]})")
    for item in _objects(answer.get("grants")):
        print(f"Consent: {item['kind']} {item['what']}, ticket {item['ticket']}, until {item['until']}")
    return 0


def _objects(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _policy(settings: Settings, options: argparse.Namespace) -> int:
    folder = private_folder(settings.folder)
    if options.withdraw:
        return _withdraw_agreement(folder)
    current = policy.load(folder)
    print(f"# {folder / policy.POLICY_FILE} (mode {current.mode})")
    print(current.source or policy.DEFAULT)
    if current.agreement is not None:
        _print_agreement(current.agreement)
    return 0


def _print_agreement(agreement: agreements.Agreement) -> None:
    held = agreement.held
    print(f"# Agreed to at this machine: version {held.version}, {held.attendance}, asked by {agreement.member}")
    print(f"# since {held.since:%Y-%m-%d %H:%M}, until {held.until:%Y-%m-%d}, by {held.person or 'an unknown account'}")
    for line in agreement.describe():
        print(f"#   {line}")
    print("# compagnon-agent policy --withdraw takes it back.")


def _withdraw_agreement(folder: Path) -> int:
    """Also when no agent is running: it never holds again."""
    try:
        known = local.call(folder, "withdraw-policy").get("withdrawn")
    except local.NotRunning:
        known = agreements.withdraw(folder)
    print("Taken back: every request is asked again." if known else "Nothing was agreed to beforehand.")
    return 0


def _stop_session(settings: Settings, options: argparse.Namespace) -> int:
    answer = local.call(settings.folder, f"stop-session {options.session}".strip())
    if answer.get("error"):
        print(answer["error"])
        return 1
    print(f"Stopped sessions: {answer.get('stopped')}")
    return 0


def _withdraw(settings: Settings, _options: argparse.Namespace) -> int:
    print(f"Consents taken back: {local.call(settings.folder, 'withdraw').get('withdrawn')}")
    return 0


def _helper(_settings: Settings, _options: argparse.Namespace) -> int:
    from .desk.helper import serve_all

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve_all())
    return 0


def _trust(settings: Settings, options: argparse.Namespace) -> int:
    _enrolled(settings)
    key = ReleaseKey.parse(options.key)
    key.save(settings.folder)
    audit.AuditLog(settings.folder).record("release_key.pinned", {"key": key.text})
    print(f"Pinned. Digits of the release key: {fingerprint(key.public)}")
    return 0


def _self_test(settings: Settings, options: argparse.Namespace) -> int:
    from .selftest import self_test

    try:
        asyncio.run(self_test(settings, options.expect))
    except Exception as fault:  # whatever it is, this version is not fit
        print(f"{type(fault).__name__}: {fault}", file=sys.stderr)
        return 1
    print(f"Version {__version__} works here.")
    return 0


def _trust_server(settings: Settings, options: argparse.Namespace) -> int:
    digits = "".join(options.digits)
    if not local.call(settings.folder, f"trust {digits}").get("trusted"):
        print("These are not the digits of the server that was met: nothing was changed.")
        return 1
    print("Trusted. The agent connects by itself.")
    return 0


def _rotate_key(settings: Settings, _options: argparse.Namespace) -> int:
    if not local.call(settings.folder, "rotate-key").get("begun"):
        print("The agent is not connected: try again when it is.")
        return 1
    print("A new key is on its way to the server.")
    return 0


def _audit(settings: Settings, _options: argparse.Namespace) -> int:
    lines, broken = audit.verify(settings.folder)
    if broken:
        print(f"Line {broken} does not follow from the one before it: the record was changed.")
        return 1
    print(f"{lines} lines, the chain is whole.")
    return 0


def _install(settings: Settings, _options: argparse.Namespace) -> int:
    _enrolled(settings)
    print(install(settings))
    return 0


def _uninstall(settings: Settings, options: argparse.Namespace) -> int:
    if not options.yes:
        print(f"This removes the service, the key and everything in {settings.folder}. Type yes to go on: ", end="")
        if sys.stdin.readline().strip() != "yes":
            return 1
    removed = uninstall.remove_service(settings)
    if settings.folder.is_dir():
        with only_one(settings):
            uninstall.remove_state(settings.folder)
        uninstall.remove_folder(settings.folder)
    removed += uninstall.remove_installation()
    print("\n".join([f"Removed the agent's files in {settings.folder}.", *(f"Removed {path}." for path in removed)]))
    return 0


COMMANDS: Mapping[str, Callable[[Settings, argparse.Namespace], int]] = {
    "enroll": _enrol,
    "run": _run,
    "status": _status,
    "policy": _policy,
    "stop-session": _stop_session,
    "withdraw": _withdraw,
    "trust-server": _trust_server,
    "rotate-key": _rotate_key,
    "audit": _audit,
    "helper": _helper,
    "trust-releases": _trust,
    "self-test": _self_test,
    "install-service": _install,
    "uninstall": _uninstall,
}

if __name__ == "__main__":
    main()

"""Enrolment: the code read out on the phone and this machine's new key become a machine id and a pinned server."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import platform
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from . import __version__, identity
from .checks.system import identify
from .protocol.signing import KEY_LENGTH, enrolment_proof
from .protocol.wire import JSON
from .release_key import ReleaseKey
from .settings import SettingsError
from .web import opened

TIMEOUT = 20.0
ANSWER_LIMIT = 64 * 1024


class EnrolmentError(Exception):
    """It did not work; the text is one sentence for the person at the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    machine_id: int
    state: str


def server_address(url: str, *, allow_http: bool) -> str:
    """The base address, checked: https, or http towards this very machine (or when it is asked for)."""
    parts = urlsplit(url.strip().rstrip("/"))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise EnrolmentError("The address must look like https://compagnon.example.org")
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname):
        raise EnrolmentError("The address must begin with https:// (or give --allow-http on a network you trust)")
    return parts.geturl()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def enrol(folder: Path, url: str, code: str, *, name: str = "", allow_http: bool = False) -> Enrolled:
    """Send the code and the public key; pin what the server answers. Raises :class:`EnrolmentError`."""
    server = server_address(url, allow_http=allow_http)
    key = identity.key_of(folder)
    public = identity.public_bytes(key)
    code = code.strip()[:80]
    body: dict[str, JSON] = {
        "code": code,
        "public_key": base64.b64encode(public).decode(),
        "signature": base64.b64encode(key.sign(enrolment_proof(code=code, public_key=public))).decode(),
        "hostname": socket.gethostname()[:80],
        "os": _os_name(),
        "version": __version__,
    }
    if name:
        body["name"] = name[:80]
    answer = _post(f"{server}/agent/enroll", body)
    return _pin(folder, server, answer)


def _os_name() -> str:
    observed, _ = identify()
    return f"{observed['id']} {observed['version'] or ''} {platform.machine()}".replace("  ", " ")[:80]


def _post(url: str, body: dict[str, JSON]) -> object:
    import urllib.error  # large, and used once
    import urllib.request

    request = urllib.request.Request(  # noqa: S310 - http or https, see server_address
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "compagnon-agent"},
    )
    try:
        with opened(request, TIMEOUT) as answer:
            return json.loads(answer.read(ANSWER_LIMIT))
    except urllib.error.HTTPError as fault:
        with fault:
            raise EnrolmentError(_detail(fault.code, fault.read(ANSWER_LIMIT))) from None
    except (OSError, ValueError) as fault:
        raise EnrolmentError(f"{url} did not answer as expected: {getattr(fault, 'reason', fault)}") from None


def _detail(status: int, body: bytes) -> str:
    try:
        content = json.loads(body)
        detail = content.get("detail") if isinstance(content, dict) else None
    except ValueError:
        detail = None
    said = "".join(character for character in str(detail) if character.isprintable())[:300] if detail else ""
    return said or f"The server refused (status {status})."


def _pin_release_key(folder: Path, given: object) -> None:
    """A server without releases gives none: then none are taken."""
    if isinstance(given, str) and given:
        try:
            ReleaseKey.parse(given).save(folder)
        except SettingsError:
            raise EnrolmentError("The server's answer is not one of Compagnon's.") from None


def _pin(folder: Path, server: str, answer: object) -> Enrolled:
    try:
        if not isinstance(answer, dict):
            raise TypeError
        machine_id = answer["machine_id"]
        server_key = base64.b64decode(answer["server_key"], validate=True)
        if not isinstance(machine_id, int) or machine_id < 1 or len(server_key) != KEY_LENGTH:
            raise ValueError
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise EnrolmentError("The server's answer is not one of Compagnon's.") from None
    identity.save(folder, machine_id=machine_id, server=server, server_key=server_key)
    _pin_release_key(folder, answer.get("release_key"))
    return Enrolled(machine_id=machine_id, state=str(answer.get("state", "pending"))[:20])

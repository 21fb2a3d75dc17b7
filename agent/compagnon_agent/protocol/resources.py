"""The resources a check may name, with goss's names, and what each attribute is.

Differences from goss are few and named in ``docs/reference/checks.md``: ``os`` and ``registry`` are Compagnon's own,
``package.held`` and ``process.count`` are added, ``http`` only reads (GET or HEAD), times are milliseconds as in goss.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .expectations import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """``setting`` attributes direct how the check is made (a time limit, a server to ask); they expect nothing."""

    kind: Kind
    about: str
    setting: bool = False
    minimum: int = 0
    maximum: int = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """``key`` describes what stands before the attributes; ``pattern`` is what it must match once bound."""

    name: str
    key: str
    pattern: re.Pattern[str]
    example: str
    read_only: bool = True
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    default: Mapping[str, bool | int] = field(default_factory=dict)
    """What is expected when the check names no attribute."""


def _flag(about: str, *, setting: bool = False) -> Attribute:
    return Attribute(kind=Kind.BOOLEAN, about=about, setting=setting)


def _number(about: str) -> Attribute:
    return Attribute(kind=Kind.INTEGER, about=about)


def _string(about: str, *, setting: bool = False) -> Attribute:
    return Attribute(kind=Kind.STRING, about=about, setting=setting)


def _strings(about: str) -> Attribute:
    return Attribute(kind=Kind.STRINGS, about=about)


def _lines(about: str) -> Attribute:
    return Attribute(kind=Kind.LINES, about=about)


_TIMEOUT = Attribute(kind=Kind.INTEGER, about="time limit in milliseconds", setting=True, minimum=1, maximum=600_000)
_LINE = r"[^\x00-\x1f\x7f]"
_NAME = re.compile(rf"(?!-){_LINE}{{1,200}}")
_PATH = re.compile(rf"(/|[A-Za-z]:\\|~(?=/|$)){_LINE}{{0,400}}|[A-Za-z]:|~")
_HOST = re.compile(r"(?:(?:A|AAAA):)?(?!-)[A-Za-z0-9._:-]{1,253}")

_FILE = {
    "exists": _flag("something is at this path"),
    "mode": _string('permissions in octal, "0644"'),
    "size": _number("bytes"),
    "owner": _string("name of the owner"),
    "uid": _number("number of the owner"),
    "group": _string("name of the group"),
    "gid": _number("number of the group"),
    "filetype": _string("file, directory, symlink, socket, pipe, block-device or character-device"),
    "linked-to": _string("what a symbolic link points to"),
    "contents": _lines("patterns found in the file's lines (the first MiB)"),
    "contains": _lines("older name of contents"),
    "md5": _string("checksum in hexadecimal"),
    "sha256": _string("checksum in hexadecimal"),
    "sha512": _string("checksum in hexadecimal"),
}


def _resource(
    name: str,
    key: str,
    pattern: re.Pattern[str],
    example: str,
    attributes: Mapping[str, Attribute],
    default: Mapping[str, bool | int],
    *,
    read_only: bool = True,
) -> Resource:
    common = {
        "title": _string("what this check is for, shown to people", setting=True),
        "skip": _flag("leave this check out", setting=True),
    }
    return Resource(
        name=name, key=key, pattern=pattern, example=example, read_only=read_only,
        attributes={**attributes, **common}, default=default,
    )  # fmt: skip


_ALL = (
    _resource("package", "name of the package", re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:-]{0,127}"), "cups", {
        "installed": _flag("is installed"),
        "versions": _strings("installed versions"),
        "held": _flag("is kept at its version (apt-mark hold)"),
    }, {"installed": True}),
    _resource("service", "name of the service", re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:\\ -]{0,127}"), "cups", {
        "enabled": _flag("starts with the machine"),
        "running": _flag("runs now"),
    }, {"running": True}),
    _resource("process", "name of the program", _NAME, "cupsd", {
        "running": _flag("at least one is running"),
        "count": _number("how many are running"),
    }, {"running": True}),
    _resource("port", "port, or protocol:port (tcp tcp6 udp udp6)",
              re.compile(r"(?:(?:tcp|udp)6?:)?[0-9]{1,5}"), "tcp:631", {
        "listening": _flag("something listens on it"),
        "ip": _strings("addresses it listens on"),
    }, {"listening": True}),
    _resource("file", "absolute path", _PATH, "/etc/hosts", _FILE, {"exists": True}),
    _resource("command", "command line, or a name when `exec` holds it", re.compile(r"[^\x00]{1,4000}"), "lpstat -r", {
        "exec": _string("the command line, when the key is only a name", setting=True),
        "exit-status": _number("exit status"),
        "stdout": _lines("patterns found in standard output"),
        "stderr": _lines("patterns found in standard error"),
        "timeout": _TIMEOUT,
    }, {"exit-status": 0}, read_only=False),
    _resource("dns", "host name, or record type and name (A:example.org)", _HOST, "example.org", {
        "resolvable": _flag("has at least one address"),
        "resolveable": _flag("older spelling of resolvable"),
        "addrs": _strings("addresses"),
        "server": _string("address of the server to ask", setting=True),
        "timeout": _TIMEOUT,
    }, {"resolvable": True}),
    _resource("http", "URL", re.compile(r"https?://[^\x00-\x20\x7f]{1,1000}"), "http://localhost:631/", {
        "status": _number("status code"),
        "body": _lines("patterns found in the body (the first MiB)"),
        "headers": _lines("patterns found in the header lines"),
        "method": _string("GET or HEAD", setting=True),
        "allow-insecure": _flag("accept a certificate that cannot be verified", setting=True),
        "no-follow-redirects": _flag("take the first answer", setting=True),
        "timeout": _TIMEOUT,
    }, {"status": 200}),
    _resource("addr", "protocol://host:port", re.compile(r"(?:tcp|udp)://[A-Za-z0-9._\[\]:%-]{1,260}:[0-9]{1,5}"),
              "tcp://192.168.1.20:9100", {
        "reachable": _flag("a connection can be opened"),
        "local-address": _string("address to connect from", setting=True),
        "timeout": _TIMEOUT,
    }, {"reachable": True}),
    _resource("interface", "name of the network interface", _NAME, "eth0", {
        "exists": _flag("is there"),
        "addrs": _strings("addresses with prefix length"),
        "mtu": _number("bytes"),
    }, {"exists": True}),
    _resource("mount", "mount point", _PATH, "/home", {
        "exists": _flag("is a mount point"),
        "opts": _strings("mount options"),
        "vfs-opts": _strings("options of the file system itself"),
        "source": _string("device"),
        "filesystem": _string("type of the file system"),
        "usage": _number("percentage of space in use"),
        "timeout": _TIMEOUT,
    }, {"exists": True}),
    _resource("user", "user name", _NAME, "marie", {
        "exists": _flag("is there"),
        "uid": _number("user number"),
        "gid": _number("number of the first group"),
        "groups": _strings("names of all groups"),
        "home": _string("home folder"),
        "shell": _string("login shell"),
    }, {"exists": True}),
    _resource("group", "group name", _NAME, "lpadmin", {
        "exists": _flag("is there"),
        "gid": _number("group number"),
    }, {"exists": True}),
    _resource("kernel-param", "name as in sysctl", re.compile(r"[a-z0-9_./-]{1,200}"), "net.ipv4.ip_forward", {
        "value": _string("current value"),
    }, {}),
    _resource("registry", r"HIVE\path, or HIVE\path:value",
              re.compile(rf"(?:HKLM|HKCU|HKCR|HKU|HKCC)\\{_LINE}{{1,400}}"),
              r"HKLM\SOFTWARE\Vendor:Version", {
        "exists": _flag("the key (or value) is there"),
        "value": _string("the value as text"),
        "type": _string("REG_SZ, REG_DWORD, …"),
    }, {"exists": True}),
    _resource("os", "identifier (debian, ubuntu, windows, macos) or family (linux, unix)",
              re.compile(r"[a-z0-9][a-z0-9._-]{0,39}"), "debian", {
        "version": _string('version ("12"); ordered by its numbers'),
        "codename": _string("name of the release"),
        "arch": _string("x86_64, aarch64, …"),
        "kernel": _string("version of the kernel"),
    }, {}),
)  # fmt: skip

RESOURCES: Mapping[str, Resource] = {resource.name: resource for resource in _ALL}

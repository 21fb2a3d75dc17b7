"""Checks over SSH: for each resource a small read-only script for POSIX shells (Linux, BusyBox), and how to read it.

A script prints ``name=value`` lines: of a plain value the first counts, of a list all. ``unsupported=…`` and
``error=…`` say why there is no answer. The last line is ``end``: what has none did not come from such a shell.
The key of a check stands in it as one quoted word, once, and is never an option.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from compagnon_agent.protocol.checks import RESOURCES, Check, Kind, expected_attributes
from compagnon_agent.protocol.verdict import Observed
from compagnon_agent.protocol.wire import JSON

TEXT = "text:"  # what follows, to the end, is the file's text
NOT_PUBLIC = "needs consent: not everyone on this device may read this"
TEXTS = frozenset({"contents", "contains", "md5", "sha256", "sha512"})


class NoAnswer(Exception):
    """It could not be found out; the text says why."""


class NotHere(Exception):
    """It cannot be looked at over SSH, or not on this kind of device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The lines of a script: plain values and lists by name, and a file's text."""

    values: Mapping[str, list[str]]
    text: list[str] | None

    def first(self, name: str) -> str | None:
        found = self.values.get(name)
        return found[0] if found else None


PACKAGE = """
if command -v dpkg-query >/dev/null 2>&1; then
  dpkg-query -W -f '${db:Status-Want} ${db:Status-Status} ${Version}\\n' -- "$k" 2>/dev/null | while read -r w s v; do
    [ "$s" = installed ] || continue
    echo installed=1; echo "versions=$v"; [ "$w" = hold ] && echo held=1; done
elif command -v rpm >/dev/null 2>&1; then
  rpm -q --qf '%{VERSION}-%{RELEASE}\\n' -- "$k" >/dev/null 2>&1 && { echo installed=1
  rpm -q --qf '%{VERSION}-%{RELEASE}\\n' -- "$k" | sed 's/^/versions=/'; }
elif command -v opkg >/dev/null 2>&1; then
  v=$(opkg status "$k" 2>/dev/null | sed -n 's/^Version: //p'); [ -n "$v" ] && { echo installed=1; echo "versions=$v"; }
elif command -v apk >/dev/null 2>&1; then
  apk info -e "$k" >/dev/null 2>&1 && echo installed=1
else echo "unsupported=no package database that is known (dpkg, rpm, opkg, apk)"; fi
echo installed=0; echo held=0
"""
SERVICE = """
n=${k%.service}
if [ -d /run/systemd/system ]; then
  [ "$(systemctl is-active -- "$k" 2>/dev/null)" = active ] && echo running=1
  case $(systemctl is-enabled -- "$k" 2>/dev/null) in
    enabled|enabled-runtime|alias|static|indirect|generated) echo enabled=1;; esac
elif [ -d /etc/init.d ]; then
  [ -x "/etc/init.d/$n" ] && "/etc/init.d/$n" status >/dev/null 2>&1 </dev/null && echo running=1
  for l in /etc/rc.d/S??"$n" /etc/rc[2345].d/S??"$n" /etc/runlevels/default/"$n"; do [ -e "$l" ] && echo enabled=1; done
else echo "unsupported=neither systemd nor init scripts are there"; fi
echo running=0; echo enabled=0
"""
PROCESS = """
[ -d /proc/self ] || echo "unsupported=there is no /proc"
c=$(cat /proc/[0-9]*/comm 2>/dev/null | grep -cxF -e "$(printf %.15s "$k")")
echo "count=$c"; [ "$c" -gt 0 ] && echo running=1
echo running=0
"""
PORT = """
[ -r /proc/net/tcp ] || echo "unsupported=there is no /proc/net"
for f in $files; do [ -r /proc/net/$f ] && sed "s/^/row=/" /proc/net/$f; done
"""
FILE = """
case $k in '~') k=$HOME;; '~/'*) k=$HOME/${k#'~/'};; esac
if [ -e "$k" ] || [ -L "$k" ]; then
  echo exists=1
  [ -L "$k" ] && { echo filetype=symlink; echo "linked-to=$(readlink "$k")"; }
  set -- $(stat -L -c '%a %s %u %g %U %G' "$k" 2>/dev/null || stat -c '%a %s %u %g %U %G' "$k")
  echo "mode=$1"; echo "size=$2"; echo "uid=$3"; echo "gid=$4"; echo "owner=$5"; echo "group=$6"
  if [ -f "$k" ]; then echo filetype=file; elif [ -d "$k" ]; then echo filetype=directory
  elif [ -S "$k" ]; then echo filetype=socket; elif [ -p "$k" ]; then echo filetype=pipe
  elif [ -b "$k" ]; then echo filetype=block-device; elif [ -c "$k" ]; then echo filetype=character-device; fi
fi
echo exists=0
"""
# Others may read the file and search every folder above it, links followed: then its text is no secret of the device.
PUBLIC = """
t=$(readlink -f "$k" 2>/dev/null); d=$t
case $t in ''|/proc/*|/sys/*|/dev/*) t=;; esac
case $(stat -c %a "$t" 2>/dev/null) in *[4567]) ;; *) [ -e "$k" ] && t=;; esac
while [ -n "$t" ] && [ "$d" != / ]; do
  d=$(dirname "$d"); case $(stat -c %a "$d") in *[1357]) ;; *) t=; break;; esac; done
[ -n "$t" ] || [ ! -e "$k" ] || { echo "error=not public"; echo end; exit; }
"""
SUMS = """
for a in $sums; do [ -f "$k" ] && { s=$("${a}sum" "$k") || echo "error=it cannot be read"; echo "$a=${s%% *}"; }; done
"""
CONTENT = """
[ -f "$k" ] && { [ -r "$k" ] || echo "error=it cannot be read"; echo end; echo text:; head -c 1048576 "$k"; exit; }
"""
USER = """
e=$( (getent passwd "$k" || grep -F -e "$k:" /etc/passwd) 2>/dev/null | head -n 1)
case $e in "$k":*) echo exists=1
  echo "uid=$(echo "$e" | cut -d: -f3)"; echo "gid=$(echo "$e" | cut -d: -f4)"; echo "home=$(echo "$e" | cut -d: -f6)"
  echo "shell=$(echo "$e" | cut -d: -f7)"
  for g in $(id -Gn -- "$k" 2>/dev/null || id -Gn "$k"); do echo "groups=$g"; done;;
esac
echo exists=0
"""
GROUP = """
e=$( (getent group "$k" || grep -F -e "$k:" /etc/group) 2>/dev/null | head -n 1)
case $e in "$k":*) echo exists=1; echo "gid=$(echo "$e" | cut -d: -f3)";; esac
echo exists=0
"""
PARAMETER = """
p=/proc/sys/$(echo "$k" | tr . /)
[ -r "$p" ] && echo "value=$(tr -s '[:space:]' ' ' <"$p" | sed 's/^ //;s/ $//')"
"""
MOUNT = """
case $k in '~') k=$HOME;; '~/'*) k=$HOME/${k#'~/'};; esac
[ -r /proc/mounts ] || echo "unsupported=there is no /proc/mounts"
while read -r s m f o x; do [ "$m" = "$k" ] || continue
  echo exists=1; echo "source=$s"; echo "filesystem=$f"; echo "$o" | tr , '\\n' | sed 's/^/opts=/'; done </proc/mounts
echo "usage=$(df -P -- "$k" 2>/dev/null | awk 'NR==2 {sub("%","",$5); print $5}')"
echo exists=0
"""
INTERFACE = """
[ -d "/sys/class/net/$k" ] && { echo exists=1; echo "mtu=$(cat "/sys/class/net/$k/mtu")"
  ip -o addr show dev "$k" 2>/dev/null | awk '{print "addrs=" $4}'; }
echo exists=0
"""
OS = """
[ -r /etc/os-release ] && sed -n 's/^ID=/id=/p;s/^ID_LIKE=/like=/p;s/^VERSION_ID=/version=/p
s/^VERSION_CODENAME=/codename=/p' /etc/os-release | tr -d '"'"'"
echo "arch=$(uname -m)"; echo "kernel=$(uname -r)"; echo "system=$(uname -s)"
"""
SCRIPTS: Mapping[str, str] = {
    "package": PACKAGE, "service": SERVICE, "process": PROCESS, "user": USER, "group": GROUP, "mount": MOUNT,
    "kernel-param": PARAMETER, "interface": INTERFACE, "os": OS,
}  # fmt: skip


def script(check: Check, *, consented: bool) -> str:
    """What to run for a (bound) check. ``consented``: texts that not everyone may read may be looked at.

    Raises NotHere for what cannot be looked at over SSH.
    """
    body = _body(check, consented=consented)
    if check.resource in {"kernel-param", "interface"} and ".." in check.key:
        raise NotHere("this name leads elsewhere")
    return f"k={shlex.quote(check.key)}\n{body}echo end\n"


def _body(check: Check, *, consented: bool) -> str:
    if check.resource == "file":
        return _file(frozenset(expected_attributes(check)), consented=consented)
    if check.resource == "port":
        protocol = check.key.rpartition(":")[0] or "tcp"
        files = protocol if protocol.endswith("6") else f"{protocol} {protocol}6"
        return f"files='{files}'{PORT}"
    found = SCRIPTS.get(check.resource)
    if found is None:
        raise NotHere(f"{check.resource} cannot be looked at over SSH")
    return found


def _file(wanted: frozenset[str], *, consented: bool) -> str:
    if not wanted & TEXTS:
        return FILE
    sums = " ".join(sorted(wanted & {"md5", "sha256", "sha512"}))
    content = CONTENT if wanted & {"contents", "contains"} else ""
    return FILE + ("" if consented else PUBLIC) + f"sums='{sums}'{SUMS}{content}"


def read(output: str) -> Answer:
    """Raises NoAnswer, NotHere."""
    head, separator, text = output.partition(f"\n{TEXT}\n")
    lines = head.splitlines()
    if not lines or lines[-1] != "end":
        raise NoAnswer("the device did not answer as a POSIX shell does")
    values: dict[str, list[str]] = {}
    for line in lines[:-1]:
        name, equals, value = line.partition("=")
        if equals:
            values.setdefault(name, []).append(value)
    if "unsupported" in values:
        raise NotHere(values["unsupported"][0])
    if "error" in values:
        raise NoAnswer(NOT_PUBLIC if values["error"][0] == "not public" else values["error"][0])
    return Answer(values=values, text=text.splitlines() if separator else None)


def observed(check: Check, answer: Answer) -> Observed:
    """What was found, by attribute; typed as the resource says."""
    if check.resource == "port":
        return _port(check, answer)
    attributes = RESOURCES[check.resource].attributes
    found: Observed = {name: _typed(attribute.kind, name, answer) for name, attribute in attributes.items()}
    if check.resource == "file" and found.get("mode") is not None:
        found["mode"] = str(found["mode"]).zfill(4)
    if check.resource == "mount":
        found["vfs-opts"] = None
    return found


def _typed(kind: Kind, name: str, answer: Answer) -> JSON:
    if kind is Kind.LINES:
        return [*answer.text] if answer.text is not None else None
    if kind is Kind.STRINGS:
        return [*answer.values.get(name, [])]
    first = answer.first(name)
    if kind is Kind.BOOLEAN:
        return None if first is None else first == "1"
    if kind is Kind.INTEGER:
        return int(first) if first and first.isascii() and first.isdecimal() and len(first) < 17 else None
    return first


def names_of_system(answer: Answer) -> frozenset[str]:
    """Every name that the system goes by."""
    names = {answer.first("id") or "linux", *(answer.first("like") or "").split(), "unix"}
    return frozenset(names | ({"linux"} if answer.first("system") == "Linux" else set()))


def _port(check: Check, answer: Answer) -> Observed:
    """``/proc/net/tcp`` (proc(5)): local address and port in hexadecimal, state 0A is LISTEN, 07 an unconnected UDP."""
    protocol, _, number = check.key.rpartition(":")
    listening = "07" if protocol.startswith("udp") else "0A"
    addresses = set()
    for row in answer.values.get("row", []):
        cells = row.split()
        if len(cells) > 3 and cells[3] == listening and cells[1].rpartition(":")[2] == f"{int(number):04X}":
            addresses.add(_address(cells[1].rpartition(":")[0]))
    ips: list[JSON] = [*sorted(addresses)]
    return {"listening": bool(ips), "ip": ips}


def _address(text: str) -> str:
    """Words of 32 bits, each little-endian as on every machine that is likely here."""
    try:
        raw = bytes.fromhex(text)
        swapped = b"".join(raw[place : place + 4][::-1] for place in range(0, len(raw), 4))
        return str(ipaddress.ip_address(swapped))
    except ValueError:
        return "?"

"""Every resource, on this very machine: real files, ports, processes, packages, mounts and servers."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import hashlib
import http.server
import os
import platform
import pwd
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from compagnon_agent.checks import dns, mount, package, service, system
from compagnon_agent.checks.native import OBSERVERS, batch_of, evaluate
from compagnon_agent.evaluate import evaluate as evaluate_all
from compagnon_agent.protocol.checks import Check, CheckResult, Outcome, parse_checks
from compagnon_agent.protocol.resources import RESOURCES

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own files")
debian_only = pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="dpkg is not here")


def look(resource: str, key: str, **attributes) -> CheckResult:
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return evaluate(parse_checks({resource: {key: named}})[0])


def holds(resource: str, key: str, **attributes) -> None:
    result = look(resource, key, **attributes)
    assert result.outcome is Outcome.PASSED, result


def differs(resource: str, key: str, **attributes) -> CheckResult:
    result = look(resource, key, **attributes)
    assert result.outcome is Outcome.FAILED, result
    assert result.reason
    return result


def test_every_resource_but_command_is_native():
    assert set(OBSERVERS) == set(RESOURCES) - {"command"}


def test_file(tmp_path):
    path = tmp_path / "à lire.conf"
    path.write_text("Listen 631\n# commentaire\nBrowsing On\n")
    path.chmod(0o640)
    key = str(path)
    owner = pwd.getpwuid(os.getuid()).pw_name
    holds(
        "file",
        key,
        exists=True,
        mode="0640",
        size=len(path.read_bytes()),
        owner=owner,
        uid=os.getuid(),
        filetype="file",
    )
    holds("file", key, contents=["Listen 631", "/^Browsing\\s+On$/", "!Browsing Off", "!/^Port/"])
    holds("file", key, contains=["Listen"])
    holds("file", key, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), size={"lt": 100})
    assert "absent not found" in differs("file", key, contents=["absent"]).reason.replace('["absent"]', "absent")
    assert "0644" in differs("file", key, mode="0644").reason
    assert "Listen" not in str(differs("file", key, contents=["absent"]).observed)
    link = tmp_path / "lien"
    link.symlink_to(path)
    holds("file", str(link), filetype="symlink", linked_to=str(path), size=path.stat().st_size)
    holds("file", str(tmp_path), filetype="directory")
    holds("file", str(tmp_path / "absent"), exists=False)
    differs("file", str(tmp_path / "absent"))
    differs("file", str(tmp_path / "absent"), mode="0644")
    dangling = tmp_path / "mort"
    dangling.symlink_to(tmp_path / "absent")
    holds("file", str(dangling), exists=True, filetype="symlink")


def test_a_pipe_does_not_block_the_content_check(tmp_path):
    pipe = tmp_path / "tube"
    os.mkfifo(pipe)
    differs("file", str(pipe), contents=["x"])


@debian_only
def test_package():
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "bash"], capture_output=True, text=True).stdout
    holds("package", "bash", installed=True, versions=[version], held=False)
    holds("package", "no-such-package", installed=False)
    differs("package", "no-such-package")
    differs("package", "bash", versions=["0.1"])


def test_package_databases_as_text():
    assert package.parse_dpkg("hold installed 1.2-3\ninstall config-files 1.0\n") == {
        "installed": True,
        "versions": ["1.2-3"],
        "held": True,
    }
    assert package.parse_dpkg("deinstall config-files 1.0\n")["installed"] is False
    assert package.parse_rpm("5.2.15-3.el9\n")["versions"] == ["5.2.15-3.el9"]
    listing = (
        "Name             Id                Version\n-----------------------------\n"
        "Mozilla Firefox  Mozilla.Firefox   128.0.3\n"
    )
    assert package.parse_winget(listing, "Mozilla.Firefox")["versions"] == ["128.0.3"]
    assert package.parse_winget("No installed package found", "Mozilla.Firefox")["installed"] is False


@linux_only
def test_service_scripts(tmp_path, monkeypatch):
    """The System V way, with scripts of our own: no real service is touched."""
    scripts, level = tmp_path / "init.d", tmp_path / "rc2.d"
    scripts.mkdir()
    level.mkdir()
    script = scripts / "demo"
    script.write_text('#!/bin/sh\n[ "$1" = status ] && exit 0\nexit 1\n')
    script.chmod(0o755)
    (level / "S01demo").symlink_to(script)
    stopped = scripts / "arret"
    stopped.write_text("#!/bin/sh\nexit 3\n")
    stopped.chmod(0o755)
    monkeypatch.setattr(service, "SCRIPTS", scripts)
    monkeypatch.setattr(service, "SYSTEMD", tmp_path / "none")
    holds("service", "demo", running=True, enabled=True)
    holds("service", "demo.service", running=True)
    holds("service", "arret", running=False, enabled=False)
    holds("service", "absent", running=False)


def test_service_managers_as_text():
    query = (
        "\r\nSERVICE_NAME: Spooler \r\n        TYPE               : 110  WIN32_OWN_PROCESS  (interactive)\r\n"
        "        STATE              : 4  RUNNING \r\n                                (STOPPABLE)\r\n"
    )
    assert service.parse_sc_query(query) is True
    assert service.parse_sc_query(query.replace("4  RUNNING", "1  STOPPED")) is False
    assert service.parse_sc_query("[SC] EnumQueryServicesStatus:OpenService FAILED 1060:") is False
    config = "[SC] QueryServiceConfig SUCCESS\r\n        START_TYPE         : 2   AUTO_START\r\n"
    assert service.parse_sc_config(config) is True
    assert service.parse_sc_config(config.replace("2   AUTO", "4   DISABLED")) is False
    listing = "PID\tStatus\tLabel\n412\t0\torg.cups.cupsd\n-\t0\tcom.apple.x\n"
    assert service.parse_launchctl(listing, "org.cups.cupsd") == {"running": True, "enabled": True}
    assert service.parse_launchctl(listing, "com.apple.x") == {"running": False, "enabled": True}
    assert service.parse_launchctl(listing, "absent") == {"running": False, "enabled": False}


def test_process(tmp_path):
    program = tmp_path / "unique-prog"
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen([program, "60"]) as child:
        try:
            deadline = time.monotonic() + 5
            while psutil.Process(child.pid).name() != "unique-prog" and time.monotonic() < deadline:
                time.sleep(0.01)
            holds("process", "unique-prog", running=True, count=1)
        finally:
            child.kill()
    holds("process", "unique-prog", running=False, count=0)
    differs("process", "unique-prog")


@contextlib.contextmanager
def listening(family: int, kind: int, address: str) -> Iterator[int]:
    with socket.socket(family, kind) as link:
        link.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            link.listen()
        yield link.getsockname()[1]


def test_port_and_addr():
    with listening(socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1") as port:
        holds("port", str(port), listening=True, ip=["127.0.0.1"])
        holds("port", f"tcp:{port}", listening=True)
        holds("port", f"tcp6:{port}", listening=False)
        holds("port", f"udp:{port}", listening=False)
        holds("addr", f"tcp://127.0.0.1:{port}", reachable=True, timeout=1000)
    differs("port", str(port))
    holds("addr", f"tcp://127.0.0.1:{port}", reachable=False, timeout=1000)
    with listening(socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1") as port:
        holds("port", f"udp:{port}", listening=True)
        holds("addr", f"udp://127.0.0.1:{port}", reachable=True)
    holds("addr", f"udp://127.0.0.1:{port}", reachable=False)
    holds("addr", "tcp://no-such-host.invalid:80", reachable=False, timeout=2000)
    assert look("port", "99999").outcome is Outcome.ERROR


class NameServer(threading.Thread):
    """Answers A for `poste.test`, nothing for other names, and stays silent for `muet.test`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                query, client = self.socket.recvfrom(512)
            except OSError:
                return
            if b"muet" in query:
                continue
            known = b"\x05poste\x04test\x00\x00\x01" in query
            header = query[:2] + struct.pack(">HHHHH", 0x8180, 1, 1 if known else 0, 0, 0)
            answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([10, 1, 2, 3]) if known else b""
            self.socket.sendto(header + query[12:] + answer, client)


def test_dns():
    holds("dns", "localhost", resolvable=True)
    holds("dns", "A:localhost", addrs=["127.0.0.1"])
    holds("dns", "no-such-name.invalid", resolvable=False)
    server = NameServer()
    server.start()
    try:
        holds("dns", "poste.test", server=server.address, addrs={"consist-of": ["10.1.2.3"]}, timeout=2000)
        holds("dns", "AAAA:poste.test", server=server.address, resolvable=False)
        holds("dns", "autre.test", server=server.address, resolvable=False)
        result = look("dns", "muet.test", server=server.address, timeout=200)
        assert (result.outcome, result.reason) == (Outcome.ERROR, f"{server.address} did not answer within 0.2 s")
    finally:
        server.socket.close()


@pytest.mark.parametrize(
    "packet", [b"", b"\x00" * 11, b"\x00" * 4 + b"\xff" * 8, bytes(12) + b"\x3f", b"\x00" * 6 + b"\x00\x09" + bytes(4)]
)
def test_malformed_dns_answers(packet):
    with contextlib.suppress(ValueError):
        assert dns.parse_answer(packet, 1) == []


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = {"/": 200, "/moved": 302, "/away": 302}.get(self.path, 404)
        self.send_response(status)
        self.send_header("X-Made-By", "Compagnon")
        if status == 302:
            self.send_header("Location", "http://192.0.2.1/" if self.path == "/away" else "/")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"Bonjour\nune page\n")

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def pages(context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_http(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # the machine itself is asked, not a proxy
    with pages() as port:
        base = f"http://127.0.0.1:{port}"
        holds("http", f"{base}/", status=200, body=["Bonjour", "/^une/"], headers=["X-Made-By: Compagnon"])
        holds("http", f"{base}/absent", status=404)
        holds("http", f"{base}/moved", status=200)
        holds("http", f"{base}/moved", status=302, no_follow_redirects=True)
        holds("http", f"{base}/away", status=302)  # its own pages do not send the machine out into the network
        holds("http", f"{base}/", method="HEAD", status=200)
        differs("http", f"{base}/absent")
    assert look("http", f"{base}/").outcome is Outcome.ERROR


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")
def test_https_certificates_are_verified_unless_told_otherwise(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
    ]
    names = ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with pages(context) as port:
        refused = look("http", f"https://localhost:{port}/")
        assert refused.outcome is Outcome.ERROR
        assert "certificate" in refused.reason.lower()
        holds("http", f"https://localhost:{port}/", status=200, allow_insecure=True)


def test_interface():
    holds("interface", "lo", exists=True, addrs=["127.0.0.1/8"])
    holds("interface", "lo", mtu={"ge": 1280})
    holds("interface", "none9", exists=False)


@linux_only
def test_mount():
    points = mount.parse_mountinfo(Path("/proc/self/mountinfo").read_text())
    holds("mount", "/proc", exists=True, filesystem="proc", opts=["rw"])
    holds("mount", "/", usage={"le": 100})
    holds("mount", "/no/such", exists=False)
    differs("mount", "/no/such", usage={"lt": 100})
    assert any(item.point == "/proc" for item in points)
    odd = "36 35 98:0 / /mnt/deux\\040mots rw,noatime shared:1 - ext3 /dev/root rw,errors=continue\nbroken line\n"
    (parsed,) = mount.parse_mountinfo(odd)
    assert (parsed.point, parsed.filesystem, parsed.source) == ("/mnt/deux mots", "ext3", "/dev/root")
    assert parsed.own_options == ("rw", "errors=continue")
    df = subprocess.run(["df", "--output=pcent", "/"], capture_output=True, text=True).stdout.split()[-1]
    assert abs((mount.usage("/") or 0) - int(df.rstrip("%"))) <= 1


def test_user_and_group():
    me = pwd.getpwuid(os.getuid())
    holds("user", me.pw_name, exists=True, uid=me.pw_uid, gid=me.pw_gid, home=me.pw_dir, shell=me.pw_shell)
    holds("user", "root", groups=["root"])
    holds("user", "nobody-at-all", exists=False)
    differs("user", "nobody-at-all", uid=1)
    holds("group", "root", exists=True, gid=0)
    holds("group", "nobody-at-all", exists=False)


@linux_only
def test_kernel_param():
    value = Path("/proc/sys/kernel/ostype").read_text().strip()
    holds("kernel-param", "kernel.ostype", value=value)
    differs("kernel-param", "kernel.no_such", value="1")
    assert look("kernel-param", "../../etc/hostname", value="x").observed == {"value": None}


@linux_only
def test_os():
    identifier = platform.freedesktop_os_release()["ID"]
    holds("os", identifier)
    holds("os", "linux", arch=platform.machine())
    assert "this is" in differs("os", "windows").reason


def test_registry():
    assert look("registry", "HKLM\\SOFTWARE\\X").outcome is (
        Outcome.UNSUPPORTED if sys.platform != "win32" else Outcome.FAILED
    )
    output = (
        "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor\r\n    Version    REG_SZ    1.2 bêta\r\n"
        "    Flags    REG_DWORD    0x10\r\n"
    )
    assert system.parse_reg_query(output, "version") == {"exists": True, "value": "1.2 bêta", "type": "REG_SZ"}
    assert system.parse_reg_query(output, "Flags")["value"] == "16"
    assert system.parse_reg_query(output, "Autre") == {"exists": False, "value": None, "type": None}
    assert system.parse_reg_query(output, "")["exists"] is True
    assert system.parse_reg_query("", "")["exists"] is False


def test_left_out():
    result = look("service", "whatever", skip=True)
    assert (result.outcome, result.reason) == (Outcome.PASSED, "left out")


async def test_a_check_that_hangs_costs_only_itself():
    """A server that never answers, with a long time limit of its own; the checks after it still get their answer."""
    with listening(socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1") as port:
        checks = parse_checks(
            {
                "file": {"/etc/passwd": {"exists": True}},
                "http": {f"http://127.0.0.1:{port}/": {"timeout": 300}},
                "user": {"root": {"exists": True}},
            }
        )
        results = await evaluate_all(checks, timeout=30, commands=False)
    assert [result.outcome for result in results] == ["pass", "error", "pass"]
    assert results[1].reason == "no answer in time"


async def test_a_frozen_worker_is_killed_and_the_rest_goes_on(monkeypatch):
    monkeypatch.setattr("compagnon_agent.evaluate.limit_of", lambda check: 0.3)
    with listening(socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1") as port:
        checks = parse_checks(
            {"http": {f"http://127.0.0.1:{port}/": {"timeout": 60000}}, "user": {getpass.getuser(): {"exists": True}}}
        )
        started = time.monotonic()
        results = await evaluate_all(checks, timeout=30, commands=False)
    assert [result.outcome for result in results] == ["error", "pass"]
    assert "no answer within" in results[0].reason
    assert time.monotonic() - started < 10


async def test_the_time_for_all_is_kept():
    with listening(socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1") as port:
        checks = parse_checks(
            {"http": {f"http://127.0.0.1:{port}/{number}": {"timeout": 60000} for number in range(5)}}
        )
        async with asyncio.timeout(10):
            results = await evaluate_all(checks, timeout=1, commands=False)
    assert [result.outcome for result in results] == ["error"] * 5


def test_one_question_to_systemd_for_all_services(tmp_path, monkeypatch):
    asked = []

    def systemctl(argv, **_):
        asked.append(argv)
        states = {"cups": ("active", "enabled"), "ssh": ("inactive", "disabled"), "old": ("active", "generated")}
        if argv[1] == "is-enabled":
            return subprocess.CompletedProcess(argv, 0, "disabled\n", "")
        keys = argv[argv.index("--") + 1 :]
        blocks = ["ActiveState={}\nUnitFileState={}\n".format(*states.get(key, ("inactive", ""))) for key in keys]
        return subprocess.CompletedProcess(argv, 0, "\n".join(blocks), "")

    monkeypatch.setattr(service, "SYSTEMD", tmp_path)
    monkeypatch.setattr(service, "run", systemctl)
    wanted = {"cups": (True, True), "ssh": (False, False), "old": (True, False), "absent": (False, False)}
    checks = [
        Check(resource="service", key=key, attributes={"running": running, "enabled": enabled})
        for key, (running, enabled) in wanted.items()
    ]
    batch = batch_of(checks)
    assert [evaluate(check, batch).outcome for check in checks] == [Outcome.PASSED] * 4
    assert [argv[1] for argv in asked] == ["show", "is-enabled"], "one for all; the script's own tool for the script"


async def test_as_many_checks_as_a_schedule_may_hold(tmp_path):
    """All by one process, each answered."""
    checks = [
        Check(resource="file", key=str(tmp_path / str(number)), attributes={"exists": False}) for number in range(500)
    ]
    results = await evaluate_all(checks, timeout=60, commands=False)
    assert {result.outcome for result in results} == {Outcome.PASSED}

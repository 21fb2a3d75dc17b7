"""What is written to make the agent a service, on each system; what it tells systemd; the door of Windows."""

from __future__ import annotations

import asyncio
import configparser
import plistlib
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from compagnon_agent import local, uninstall
from compagnon_agent.notify import Notifier
from compagnon_agent.service import linux, macos, windows
from compagnon_agent.service.plan import Place, Plan, ServiceError, carry_out, undo

STRANGE = '/opt/it\'s 100% "my" $HOME\\agent'


def place(
    tmp_path: Path, *, system: bool = True, program: tuple[str, ...] = ("/usr/bin/python3", "-I", STRANGE)
) -> Place:
    return Place(
        system=system, home=tmp_path / "home", state=tmp_path / "état 1", program=program, runtime=tmp_path / "runtime"
    )


def test_the_units_are_what_systemd_reads(tmp_path):
    for system in (True, False):
        text = linux.unit(place(tmp_path, system=system))
        settings = configparser.ConfigParser(strict=True, interpolation=None)
        settings.optionxform = str
        settings.read_string(text)
        service = dict(settings["Service"])
        assert (service["Type"], service["NotifyAccess"], service["Restart"]) == ("notify", "all", "always")
        assert "NoNewPrivileges" not in service  # sudo works in a session
        assert ("RuntimeDirectory" in service) is system
        assert settings["Install"]["WantedBy"] == ("multi-user.target" if system else "default.target")
        command = service["ExecStart"].replace("%%", "%").replace("$$", "$")
        assert shlex.split(command)[-4:] == [STRANGE, "run", "--state-dir", str(tmp_path / "état 1")]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_itself_finds_nothing_wrong(tmp_path):
    unit = tmp_path / linux.UNIT_NAME
    program = (sys.executable, "-I", str(tmp_path / "launcher of 100%.py"))
    unit.write_text(linux.unit(place(tmp_path, program=program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    about = [line for line in (done.stdout + done.stderr).splitlines() if linux.UNIT_NAME in line]
    assert about == []


def test_the_autostart_entry_keeps_every_word_whole(tmp_path):
    text = linux.desktop_entry(place(tmp_path))
    exec_line = next(line for line in text.splitlines() if line.startswith("Exec="))
    value = exec_line.removeprefix("Exec=").replace("\\\\", "\\").replace("%%", "%")  # string escapes, field codes
    assert shlex.split(value.replace("\\$", "$").replace("\\`", "`")) == ["/usr/bin/python3", "-I", STRANGE, "helper"]


def test_the_property_lists(tmp_path):
    plan = macos.plan(place(tmp_path), tmp_path)
    assert [str(path.relative_to(tmp_path)) for path, _ in plan.files] == [
        "Library/LaunchDaemons/org.compagnon.agent.plist",
        "Library/LaunchAgents/org.compagnon.agent.helper.plist",
    ]
    core, helper = (plistlib.loads(content) for _, content in plan.files)
    assert core["ProgramArguments"][2:] == [STRANGE, "run", "--state-dir", str(tmp_path / "état 1")]
    assert (core["KeepAlive"], "LimitLoadToSessionType" in core) == (True, False)
    assert (helper["ProgramArguments"][-1], helper["LimitLoadToSessionType"]) == ("helper", "Aqua")
    assert plan.start == (("launchctl", "bootstrap", "system", str(plan.files[0][0])),)
    own = macos.plan(place(tmp_path, system=False), tmp_path)
    assert plistlib.loads(own.files[0][1])["LimitLoadToSessionType"] == "Aqua"


def test_the_scheduled_task(tmp_path):
    names = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    for system, user in ((True, ""), (False, "PC\\Zoé & <fils>")):
        plan = windows.plan(place(tmp_path, system=system), user)
        root = ElementTree.fromstring(plan.files[0][1].decode("utf-16"))
        assert root.findtext(".//t:Command", namespaces=names) == "/usr/bin/python3"
        words = root.findtext(".//t:Arguments", namespaces=names)
        assert words == subprocess.list2cmdline(["-I", STRANGE, "run", "--state-dir", str(tmp_path / "état 1")])
        assert (root.find(".//t:BootTrigger", names) is not None) is system
        assert root.findtext(".//t:Principal/t:UserId", namespaces=names) == ("S-1-5-18" if system else user)
        assert root.findtext(".//t:ExecutionTimeLimit", namespaces=names) == "PT0S"
        assert plan.stop[-1] == ("schtasks", "/Delete", "/TN", "Compagnon agent", "/F")


def test_installing_and_undoing_leave_nothing(tmp_path):
    root, home = tmp_path / "root", tmp_path / "home"
    home.mkdir()
    plan = linux.plan(place(tmp_path, system=False), root)
    before = sorted(tmp_path.rglob("*"))
    said = carry_out(plan)
    assert "does not run here" in said
    assert all(path.stat().st_mode & 0o777 == 0o644 for path, _ in plan.files)
    assert undo(plan) == [path for path, _ in plan.files]
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [p for p in before if p.is_file()]
    assert undo(plan) == []


def test_what_cannot_be_written_or_started_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match="run this as administrator"):
        carry_out(Plan(name="x", files=((tmp_path / "file" / "unit", b""),), start=(), stop=()))
    with pytest.raises(ServiceError, match="cannot start"):
        carry_out(Plan(name="x", files=(), start=(("sh", "-c", "echo cannot start >&2; exit 1"),), stop=()))
    with pytest.raises(ServiceError, match="there-is-no-such-tool"):
        carry_out(Plan(name="x", files=(), start=(("there-is-no-such-tool",),), stop=()))


def test_only_the_link_that_leads_here_is_removed(tmp_path):
    home, link = tmp_path / "home", tmp_path / "compagnon-agent"
    home.mkdir()
    (home / "compagnon-agent").touch()
    link.symlink_to("/usr/bin/true")
    (home / uninstall.LINK_FILE).write_text(f"{link}\n")
    assert uninstall._remove_link(home) == []
    assert link.is_symlink()


# -- systemd's ear ----------------------------------------------------------------------------------------------------


@pytest.fixture
def ear(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


async def hear(ear: socket.socket, wanted: str) -> str:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        while True:
            said = (await loop.sock_recv(ear, 4096)).decode()
            if wanted in said:
                return said


async def test_an_agent_tells_systemd_how_it_goes(ear, speaking_server, runner):
    runner.extra |= {"NOTIFY_SOCKET": ear.getsockname(), "WATCHDOG_USEC": "600000"}
    await runner.start()
    assert "STATUS=" in await hear(ear, "READY=1")
    await speaking_server.connected()
    assert "WATCHDOG=1" in await hear(ear, "STATUS=connected")
    assert await runner.stop() == 0
    await hear(ear, "STOPPING=1")


async def test_a_hung_loop_gives_no_sign_of_life(ear):
    notifier = Notifier(ear.getsockname(), 0.1)
    async with notifier.attending(lambda: "there"):
        await hear(ear, "WATCHDOG=1")
        while True:  # empty it
            try:
                ear.recv(4096)
            except BlockingIOError:
                break
        import time

        time.sleep(0.5)
        with pytest.raises(BlockingIOError):
            ear.recv(4096)
        await hear(ear, "WATCHDOG=1")


def test_who_is_not_asked_says_nothing(monkeypatch):
    Notifier.of({}).tell(READY=1)
    Notifier("/nonexistent/socket").tell(READY=1)
    assert Notifier.of({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}).watchdog == 0
    assert Notifier.of({"WATCHDOG_USEC": "5000000"}).watchdog == 5
    assert Notifier.of({"WATCHDOG_USEC": "many"}).watchdog == 0


# -- the door without Unix sockets ------------------------------------------------------------------------------------


async def test_the_door_of_windows_asks_for_the_secret(tmp_path):
    server = await local._listen_loopback(tmp_path, lambda command: {"heard": command})
    assert (tmp_path / local.SOCKET_FILE).stat().st_mode & 0o077 == 0

    def ask(command: str) -> bytes:
        with local._knock_loopback(tmp_path, command) as link, link.makefile("rb") as file:
            return file.readline()

    assert await asyncio.to_thread(ask, "status") == b'{"heard": "status"}\n'
    known = tmp_path / local.SOCKET_FILE
    known.write_text(known.read_text().replace('"secret": "', '"secret": "0'))
    assert b"not allowed" in await asyncio.to_thread(ask, "status")
    server.close()
    await server.wait_closed()

"""Services as each manager tells them: captured text, and what is refused before anything is run."""

from __future__ import annotations

import json
import subprocess

import pytest

from compagnon_agent.processes import launchd, services, systemd, sysv, windows
from compagnon_agent.processes.ending import Trouble
from compagnon_agent.processes.service import Service
from compagnon_agent.processes.services import Order
from compagnon_agent.protocol.processes import Action, Manager, Start, State

UNITS = json.dumps(
    [
        {
            "unit": "cups.service",
            "load": "loaded",
            "active": "active",
            "sub": "running",
            "description": "CUPS Scheduler",
        },
        {"unit": "nginx.service", "load": "loaded", "active": "failed", "sub": "failed", "description": "A web server"},
        {"unit": "apparmor.service", "load": "loaded", "active": "active", "sub": "exited", "description": "Load"},
        {"unit": "getty@tty1.service", "load": "loaded", "active": "active", "sub": "running", "description": "Getty"},
        {"unit": "gone.service", "load": "masked", "active": "inactive", "sub": "dead", "description": "gone.service"},
    ]
)
FILES = json.dumps(
    [
        {"unit_file": "cups.service", "state": "enabled", "preset": "enabled"},
        {"unit_file": "nginx.service", "state": "disabled", "preset": "enabled"},
        {"unit_file": "getty@.service", "state": "enabled", "preset": "enabled"},
        {"unit_file": "rsync.service", "state": "disabled", "preset": None},
        {"unit_file": "serial-getty@.service", "state": "disabled", "preset": "enabled"},
    ]
)
COLUMNS = """\
cups.service                loaded active   running CUPS Scheduler
● nginx.service             loaded failed   failed  A web server
ssh.service                 loaded inactive dead    OpenBSD Secure Shell server
"""
FILE_COLUMNS = """\
cups.service     enabled         enabled
nginx.service    disabled        enabled
"""


def by_name(found):
    return {one.name: one for one in found}


def test_systemd_as_json():
    found = by_name(systemd.services(UNITS, FILES))
    assert (found["cups.service"].state, found["cups.service"].start) == (State.RUNNING, Start.AUTO)
    assert (found["nginx.service"].state, found["nginx.service"].start) == (State.FAILED, Start.DISABLED)
    assert found["apparmor.service"].state is State.DONE
    assert found["getty@tty1.service"].start is Start.AUTO, "an instance starts as its template does"
    assert found["gone.service"].start is Start.MASKED
    assert found["rsync.service"].state is State.STOPPED, "what is not loaded is not running"
    assert "serial-getty@.service" not in found, "a template is no service"


def test_systemd_before_it_knew_json():
    found = by_name(systemd.services(COLUMNS, FILE_COLUMNS))
    assert found["nginx.service"].state is State.FAILED
    assert found["nginx.service"].title == "A web server"
    assert found["ssh.service"].state is State.STOPPED
    assert found["cups.service"].start is Start.AUTO


@pytest.mark.parametrize(
    "nonsense", ["", "[", '[1, null, "x"]', '{"unit": 3}', "Failed to connect to bus: Host is down"]
)
def test_nonsense_of_systemctl_is_no_service(nonsense):
    assert systemd.services(nonsense, nonsense) == []


def test_system_v(tmp_path):
    script = tmp_path / "init.d" / "cups"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n### BEGIN INIT INFO\n# Short-Description: Start CUPS\n### END INIT INFO\n")
    script.chmod(0o755)
    (script.parent / "README").write_text("not a script")
    (script.parent / "notes").write_text("not executable")
    (tmp_path / "rc2.d").mkdir()
    (tmp_path / "rc2.d" / "S01cups").symlink_to("../init.d/cups")
    known = sysv.scripts(script.parent)
    assert known == {"cups": "Start CUPS"}
    found = sysv.services(known, " [ + ]  cups\n [ - ]  ssh\n", sysv.started(tmp_path))
    assert found == [Service(name="cups", title="Start CUPS", state=State.RUNNING, start=Start.AUTO)]
    assert sysv.services(known, "", set())[0].state is State.UNKNOWN


def test_windows():
    output = json.dumps(
        [
            {"Name": "Spooler", "DisplayName": "Spouleur", "State": "Running", "StartMode": "Auto", "ProcessId": 1234},
            {"Name": "wuauserv", "DisplayName": "Update", "State": "Stopped", "StartMode": "Manual", "ProcessId": 0},
            {"DisplayName": "no name"},
        ]
    )
    found = by_name(windows.services("\ufeff" + output))
    assert (found["Spooler"].state, found["Spooler"].start, found["Spooler"].pid) == (State.RUNNING, Start.AUTO, 1234)
    assert found["wuauserv"].start is Start.MANUAL
    assert len(found) == 2
    alone = '{"Name":"Spooler","DisplayName":"x","State":"Start Pending","StartMode":"Disabled","ProcessId":0}'
    assert windows.services(alone)[0].state is State.MOVING
    assert windows.services("Get-CimInstance : Access denied") == []


def test_a_name_never_becomes_a_command_on_windows():
    (command,) = windows.commands("x'; Remove-Item C:\\ -Recurse; '", Action.RESTART)
    assert command[-1].endswith("-Name 'x''; Remove-Item C:\\ -Recurse; '''")


def test_launchd():
    output = "PID\tStatus\tLabel\n412\t0\tcom.apple.cupsd\n-\t78\tcom.example.broken\n-\t0\tcom.example.idle\n"
    disabled = (
        'disabled services = {\n\t"com.example.idle" => true\n\t"com.example.off" => disabled\n\t"x" => false\n}\n'
    )
    found = by_name(launchd.services(output, disabled))
    assert (found["com.apple.cupsd"].state, found["com.apple.cupsd"].pid) == (State.RUNNING, 412)
    assert (found["com.example.broken"].state, found["com.example.broken"].detail) == (State.FAILED, "exit 78")
    assert found["com.example.idle"].start is Start.DISABLED
    assert found["com.example.off"].state is State.STOPPED
    assert "Label" not in found
    assert "x" not in found


KNOWN = [Service(name="cups.service"), Service(name="compagnon-agent.service"), Service(name="--help")]


@pytest.mark.parametrize("name", ["nope", "cups.service; reboot", "--help", "cups"])
def test_only_a_service_of_the_list_is_touched(name):
    with pytest.raises(Trouble) as refused:
        services.check(Order(name=name, action=Action.STOP), KNOWN)
    assert refused.value.code == "no_service"


@pytest.mark.parametrize("action", [Action.STOP, Action.RESTART, Action.DISABLE])
def test_the_agents_own_service_is_left_alone(action):
    with pytest.raises(Trouble) as refused:
        services.check(Order(name="compagnon-agent.service", action=action), KNOWN)
    assert refused.value.code == "agent"
    assert services.check(Order(name="cups.service", action=action), KNOWN)


def test_an_order_that_fails_says_why(monkeypatch):
    monkeypatch.setitem(services._LISTS, Manager.SYSTEMD, lambda: [Service(name="cups.service", state=State.FAILED)])
    monkeypatch.setitem(services._ORDERS, Manager.SYSTEMD, lambda *_: [["sh", "-c", "echo no such port; exit 3"]])
    monkeypatch.setattr(services, "last_lines", lambda name, kind: [f"{name}: the last line"])
    done = services.act(Order(name="cups.service", action=Action.START), Manager.SYSTEMD)
    assert (done.ok, done.output, done.log) == (False, "no such port", ("cups.service: the last line",))


def test_a_service_that_falls_over_at_once_is_no_success(monkeypatch):
    monkeypatch.setitem(services._LISTS, Manager.SYSTEMD, lambda: [Service(name="cups.service", state=State.FAILED)])
    monkeypatch.setitem(services._ORDERS, Manager.SYSTEMD, lambda *_: [["true"]])
    assert not services.act(Order(name="cups.service", action=Action.RESTART), Manager.SYSTEMD).ok
    assert services.act(Order(name="cups.service", action=Action.DISABLE), Manager.SYSTEMD).ok


def test_a_service_that_keeps_the_pipe_does_not_keep_the_agent(monkeypatch):
    monkeypatch.setattr(services, "ACT_SECONDS", 20.0)
    output, ok = services.run(["sh", "-c", "sleep 30 & echo $!"])
    assert ok
    subprocess.run(["kill", output.split()[-1]], check=True)

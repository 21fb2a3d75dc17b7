"""The Windows task scheduler (Task Scheduler schema 1.2). Written from its documentation; it was not run.

A task rather than a service: a service must answer the service control manager through a dispatcher in its own process,
which Python lacks without pywin32. A task starts with the machine or with a log-on, is started again when it ends, and
needs nothing but ``schtasks``, which every Windows has.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from .plan import Place, Plan

TASK = "Compagnon agent"
FILE = "task.xml"

_TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>Compagnon agent</Description></RegistrationInfo>
  <Triggers>{trigger}</Triggers>
  <Principals><Principal id="Author">{principal}</Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure>
    <StartWhenAvailable>true</StartWhenAvailable>
    <Enabled>true</Enabled>
  </Settings>
  <Actions Context="Author"><Exec><Command>{command}</Command><Arguments>{arguments}</Arguments></Exec></Actions>
</Task>
"""
_BOOT = "<BootTrigger><Enabled>true</Enabled></BootTrigger>"
_SYSTEM = "<UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel>"
_LOGON = "<LogonTrigger><Enabled>true</Enabled><UserId>{user}</UserId></LogonTrigger>"
_USER = "<UserId>{user}</UserId><LogonType>InteractiveToken</LogonType><RunLevel>LeastPrivilege</RunLevel>"


def plan(place: Place, user: str) -> Plan:
    """``user``: domain and name of the account, where it is not for the whole machine."""
    path = place.state / FILE
    return Plan(
        name=TASK,
        files=((path, task(place, user).encode("utf-16")),),
        start=(
            ("schtasks", "/Create", "/TN", TASK, "/XML", str(path), "/F"),
            ("schtasks", "/Run", "/TN", TASK),
        ),
        stop=(("schtasks", "/End", "/TN", TASK), ("schtasks", "/Delete", "/TN", TASK, "/F")),
    )


def task(place: Place, user: str) -> str:
    command = place.command("run", "--state-dir", str(place.state))
    named = escape(user)
    return _TASK.format(
        trigger=_BOOT if place.system else _LOGON.format(user=named),
        principal=_SYSTEM if place.system else _USER.format(user=named),
        command=escape(command[0]),
        arguments=escape(arguments(command[1:])),
    )


def arguments(words: Sequence[str]) -> str:
    """One command line that Windows programs take apart again into ``words`` (CommandLineToArgvW)."""
    return subprocess.list2cmdline(list(words))


def task_file(state: Path) -> Path:
    return state / FILE

"""The live load: figures within their bounds, told only as long as somebody asks again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import psutil
import pytest

from compagnon_agent import load as loads
from compagnon_agent.authorise import LoadRequest, authorise
from compagnon_agent.load import Meter, Watching
from compagnon_agent.policy import LocalPolicy, parse
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.wire import WireError

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_figures_of_this_machine_go_over_the_wire():
    told = Meter().read()
    again = messages.decode(messages.encode(told))
    assert again == told
    assert 0 < told.memory <= 1000


def test_counters_that_began_anew_are_no_negative_rate(monkeypatch):
    meter = Meter()
    monkeypatch.setattr(loads, "_disk", lambda: (0, 0))
    monkeypatch.setattr(loads, "_network", lambda: (0, 0))
    meter._disk, meter._net = (5_000_000, 5), (7_000_000, 7)
    told = meter.read()
    assert (told.reads, told.writes, told.received, told.sent) == (0, 0, 0, 0)


def test_a_broken_sensor_is_not_believed(monkeypatch):
    class Sensor:
        def __init__(self, current):
            self.current = current

    sensors = lambda *values: lambda: {"x": [Sensor(value) for value in values]}  # noqa: E731
    monkeypatch.setattr(psutil, "sensors_temperatures", sensors(45.5, 6553.5, -273.1), raising=False)
    assert loads._temperature() == 455
    monkeypatch.setattr(psutil, "sensors_temperatures", sensors(), raising=False)
    assert loads._temperature() is None


def test_a_busy_processor_is_busy_whichever_thread_looks():
    assert loads._share((30.0, 50.0), (20.0, 30.0)) == 50.0
    assert loads._share((30.0, 50.0), (30.0, 50.0)) == 0.0
    worked, passed = loads._processor()
    assert 0 < worked < passed


async def test_the_lease_ends_by_itself():
    told = []
    watching = Watching(told.append)
    watching.renew(seconds=1.2, every=0.1)
    assert watching.on
    watching.renew(seconds=1.2, every=0.1)
    await asyncio.wait_for(watching._task, 10)
    assert not watching.on
    assert told
    count = len(told)
    await asyncio.sleep(0.3)
    assert len(told) == count


def test_the_policy_file_can_keep_the_load_to_itself():
    ask = lambda policy: authorise(LoadRequest(), policy=policy, grants=(), now=NOW)  # noqa: E731
    assert ask(LocalPolicy()).allowed
    silent = parse("load = false\n")
    assert not ask(silent).allowed
    assert "load" in LocalPolicy().report().sheet
    assert "load" not in silent.report().sheet


@pytest.mark.parametrize("field", ['"cpu": 1001', '"cpu": -1', '"reads": -5', '"temperature": 9999', '"cpu": "x"'])
def test_figures_out_of_bounds_are_refused(field):
    values = '"v": 1, "type": "load", "at": "2026-03-01T00:00:00+00:00", "cpu": 1, "memory": 1'
    with pytest.raises(WireError):
        messages.decode("{" + values + ", " + field + "}")

"""What changed on a machine, from one report of its facts to the next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remote.machines.changes import MOST, changes
from remote.machines.facts import Disk, Facts, Interface


def disk(mount, used, total=100_000_000_000):
    return Disk(mount=mount, device="/dev/sda1", filesystem="ext4", total=total, used=used)


def network(*addresses, name="eth0"):
    return (Interface(name=name, up=True, mac="", addresses=addresses),)


BEFORE = Facts(
    hostname="accueil",
    os_name="Debian GNU/Linux",
    os_version="12.5",
    kernel="6.1.0-18",
    packages=1200,
    memory=8_000_000_000,
    disks=(disk("/", 50_000_000_000),),
    network=network("192.168.1.20", "fe80::1"),
    failing_services=("cups",),
)


@pytest.mark.parametrize(
    ("after", "kind", "subject", "detail"),
    [
        ({"os_version": "12.6"}, "os", "", "Debian GNU/Linux 12.5 → Debian GNU/Linux 12.6"),
        ({"kernel": "6.1.0-21"}, "kernel", "", "6.1.0-18 → 6.1.0-21"),
        ({"packages": 1203}, "packages", "", "1200 → 1203"),
        ({"memory": 16_000_000_000}, "memory", "", "8 GB → 16 GB"),
        ({"disks": (disk("/", 50_000_000_000), disk("/srv", 1))}, "disk_added", "/srv", "100 GB"),
        ({"disks": (disk("/", 95_000_000_000),)}, "disk_full", "/", "50 % → 95 %"),
        ({"network": network("192.168.1.21", "fe80::1")}, "address", "eth0", "192.168.1.20 → 192.168.1.21"),
        ({"failing_services": ("cups", "ssh")}, "service_failed", "ssh", ""),
        ({"failing_services": ()}, "service_back", "cups", ""),
    ],
)
def test_one_change(after, kind, subject, detail):
    (found,) = changes(BEFORE, replace(BEFORE, **after))
    assert (found.kind, found.subject, found.detail) == (kind, subject, detail)


@pytest.mark.parametrize(
    "after",
    [
        {},
        {"packages": None},
        {"kernel": ""},
        {"disks": ()},
        {"failing_services": None},
        {"memory": 8_010_000_000},
        {"disks": (disk("/", 51_000_000_000),)},
        {"network": network("192.168.1.20", "fe80::2", "2001:db8::7")},
        {"network": network("172.17.0.1", name="docker0")},
    ],
)
def test_what_is_no_change(after):
    assert changes(BEFORE, replace(BEFORE, **after)) == []


def test_a_first_report_changes_nothing():
    assert changes(Facts(), BEFORE) == []


def test_a_flood_is_cut():
    many = tuple(disk(f"/m{n}", 1) for n in range(100))
    assert len(changes(BEFORE, replace(BEFORE, disks=many))) == MOST


def test_facts_come_back_from_the_database_as_they_were():
    assert Facts.read(BEFORE.as_json()) == BEFORE
    assert Facts.read({key: value for key, value in BEFORE.as_json().items() if key != "failing_services"})
    assert Facts.report({"failing": ["a.b", {}, "x" * 500]}).failing_services == ("a.b", "x" * 80)
    assert Facts.report({"failing": "no"}).failing_services is None

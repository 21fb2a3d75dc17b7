"""Waking another machine: the packet, whose cards and networks count, and every way to a no."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from compagnon_agent import waking
from compagnon_agent.audit import AuditLog
from compagnon_agent.authorise import WAKES_A_MINUTE, WakeRequest, authorise
from compagnon_agent.interfaces import Card, Lan, lans, linux_cards, mac_cards, windows_cards
from compagnon_agent.policy import LocalPolicy, Mode, parse
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.waking import NotWoken, hardware_address, local_network
from compagnon_agent.protocol.wire import WireError
from compagnon_agent.waking import Waking, magic_packet

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MAC = "00:1a:2b:3c:4d:5e"
REQUEST = WakeRequest(
    ticket_id=7,
    member="Alice",
    reason="Panne",
    machine="Caisse",
    macs=(MAC,),
    broadcasts=("192.168.1.255",),
    lately=0,
)
MESSAGE = messages.Wake(
    request_id="12345678",
    ticket_id=7,
    member_id=1,
    member_name="Alice",
    reason="Panne",
    machine="Caisse",
    macs=(MAC,),
    networks=("127.66.0.0/16",),
)


def test_the_packet_octet_by_octet():
    packet = magic_packet(MAC)
    assert len(packet) == 102
    assert packet[:6] == b"\xff" * 6
    assert [packet[6 + 6 * n : 12 + 6 * n] for n in range(16)] == [b"\x00\x1a\x2b\x3c\x4d\x5e"] * 16


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("00:1A:2B:3C:4D:5E", MAC),
        ("00-1a-2b-3c-4d-5e", MAC),
        ("02:fc:00:00:00:01", "02:fc:00:00:00:01"),  # locally administered: a virtual machine's
        ("ff:ff:ff:ff:ff:ff", ""),
        ("01:00:5e:00:00:01", ""),  # a group's
        ("33:33:00:00:00:01", ""),
        ("00:00:00:00:00:00", ""),
        ("00:1a:2b:3c:4d", ""),
        ("00:1a:2b:3c:4d:5e:6f", ""),
        ("00:1a:2b:3c:4d:5g", ""),
        ("٠٠:1a:2b:3c:4d:5e", ""),  # digits, but not these
        (MAC + "\n" + MAC, ""),
        ("", ""),
        (None, ""),
        (b"\x00\x1a\x2b\x3c\x4d\x5e", ""),
        (5, ""),
    ],
)
def test_one_card_and_nothing_else(raw, plain):
    assert hardware_address(raw) == plain


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("192.168.1.0/24", "192.168.1.0/24"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.168.1.4/30", "192.168.1.4/30"),
        ("192.168.1.7/24", ""),  # a machine, not a network
        ("192.168.1.0/31", ""),
        ("10.1.2.3/32", ""),
        ("0.0.0.0/0", ""),
        ("0.0.0.0/8", ""),
        ("127.0.0.0/8", ""),
        ("169.254.0.0/16", ""),
        ("224.0.0.0/8", ""),
        ("240.0.0.0/8", ""),
        ("192.168.1.0", ""),
        ("fd00::/64", ""),
        ("192.168.1.0/255.255.255.0", ""),
        (["192.168.1.0/24"], ""),
        (None, ""),
    ],
)
def test_networks_of_several_machines(raw, plain):
    assert local_network(raw) == plain


@pytest.mark.parametrize(
    ("address", "broadcast"),
    [
        ("192.168.1.20/24", "192.168.1.255"),
        ("192.168.1.20/25", "192.168.1.127"),
        ("10.20.30.40/8", "10.255.255.255"),
        ("172.16.5.6/30", "172.16.5.7"),
    ],
)
def test_the_address_of_everyone_in_a_network(address, broadcast):
    lan = Lan(name="eth0", macs=(MAC,), address=ipaddress.IPv4Interface(address), wired=True)
    assert lan.broadcast == broadcast


# --- whose cards count


@pytest.fixture
def sysfs(tmp_path):
    """``sysfs("eth0", "pci0/net", MAC)``: one more interface in a device tree."""
    (tmp_path / "class/net").mkdir(parents=True)

    def add(name, place, mac, *, devtype="", type_="1", lower=(), permanent=""):
        device = tmp_path / "devices" / place / name
        device.mkdir(parents=True)
        (device / "address").write_text(mac + "\n")
        (device / "type").write_text(type_ + "\n")
        (device / "uevent").write_text((f"DEVTYPE={devtype}\n" if devtype else "") + f"INTERFACE={name}\n")
        (tmp_path / "class/net" / name).symlink_to(device)
        for one in lower:
            (device / f"lower_{one}").symlink_to((tmp_path / "class/net" / one).resolve())
        if permanent:
            (device / "bonding_slave").mkdir()
            (device / "bonding_slave/perm_hwaddr").write_text(permanent + "\n")

    add.root = tmp_path
    return add


def mac(number: int) -> str:
    return f"00:1a:2b:00:00:{number:02x}"


def test_cards_of_a_linux_machine_and_nothing_that_was_made_up(sysfs):
    sysfs("eth0", "pci0000:00/0000:00:1f.6/net", mac(1))
    sysfs("wlan0", "pci0000:00/0000:00:14.3/net", mac(2), devtype="wlan")
    sysfs("wwan0", "pci0000:00/usb1/net", mac(3), devtype="wwan")
    sysfs("lo", "virtual/net", "00:00:00:00:00:00", type_="772")
    sysfs("veth1", "virtual/net", mac(4))
    sysfs("docker0", "virtual/net", mac(5), devtype="bridge", lower=["veth1"])
    sysfs("wg0", "virtual/net", "", devtype="wireguard", type_="65534")
    sysfs("tap0", "virtual/net", mac(6))
    sysfs("vxlan0", "virtual/net", mac(7), devtype="vxlan", lower=["eth0"])
    sysfs("ib0", "pci0000:00/ib/net", mac(8), type_="32")
    assert linux_cards(sysfs.root) == {
        "eth0": Card(macs=(mac(1),), wired=True),
        "wlan0": Card(macs=(mac(2),), wired=False),
    }


def test_a_bridge_a_bond_and_a_vlan_are_the_cards_that_they_stand_on(sysfs):
    sysfs("eth0", "pci0000:00/0000:00:1f.6/net", mac(1), permanent=mac(1))
    sysfs("eth1", "pci0000:00/0000:00:1f.7/net", mac(1), permanent=mac(2))
    sysfs("bond0", "virtual/net", mac(1), devtype="bond", lower=["eth0", "eth1"])
    sysfs("tap0", "virtual/net", mac(9))
    sysfs("br0", "virtual/net", mac(1), devtype="bridge", lower=["bond0", "tap0"])
    sysfs("br0.20", "virtual/net", mac(1), devtype="vlan", lower=["br0"])
    found = linux_cards(sysfs.root)
    assert found["eth1"].macs == (mac(2),), "while the machine is off it listens to its own address"
    for name in ("bond0", "br0", "br0.20"):
        assert found[name] == Card(macs=(mac(1), mac(2)), wired=True)
    assert "tap0" not in found


def test_this_machines_own_are_told_without_loopback():
    for lan in lans():
        assert local_network(lan.network) == lan.network
        assert all(hardware_address(mac) == mac for mac in lan.macs)
        assert not lan.address.ip.is_loopback


def test_adapters_as_windows_tells_them():
    wired = '{"Name":"Ethernet","MacAddress":"00-1A-2B-3C-4D-5E","NdisPhysicalMedium":14}'
    wifi = '{"Name":"Wi-Fi","MacAddress":"00-1A-2B-3C-4D-5F","NdisPhysicalMedium":9}'
    phone = '{"Name":"Bluetooth","MacAddress":"00-1A-2B-3C-4D-60","NdisPhysicalMedium":10}'
    none = '{"Name":"x","MacAddress":null,"NdisPhysicalMedium":14}'
    assert windows_cards(wired) == {"Ethernet": Card(macs=(MAC,), wired=True)}
    found = windows_cards(f"[{wired},{wifi},{phone},{none}]")
    assert found == {
        "Ethernet": Card(macs=(MAC,), wired=True),
        "Wi-Fi": Card(macs=("00:1a:2b:3c:4d:5f",), wired=False),
    }
    assert windows_cards("") == windows_cards("nonsense") == {}


def test_ports_as_macos_tells_them():
    output = (
        "\nHardware Port: Ethernet\nDevice: en0\nEthernet Address: 00:1a:2b:3c:4d:5e\n"
        "\nHardware Port: Wi-Fi\nDevice: en1\nEthernet Address: 00:1a:2b:3c:4d:5f\n"
        "\nHardware Port: Thunderbolt Bridge\nDevice: bridge0\nEthernet Address: 00:1a:2b:3c:4d:60\n"
        "\nVLAN Configurations\n===================\n"
    )
    assert mac_cards(output) == {
        "en0": Card(macs=(MAC,), wired=True),
        "en1": Card(macs=("00:1a:2b:3c:4d:5f",), wired=False),
    }


# --- the decision


def decide(request=REQUEST, policy=LocalPolicy()):  # noqa: B008 - frozen
    return authorise(request, policy=policy, grants=(), now=NOW)


def test_it_needs_no_consent_and_stands_in_the_sheet():
    assert decide().allowed
    assert "wake" in LocalPolicy().report().sheet
    closed = parse("wake = false\n")
    assert decide(policy=closed).reason == NotWoken.POLICY
    assert not decide(policy=closed).needs_consent
    assert "wake" not in closed.report().sheet


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"macs": ()}, NotWoken.ADDRESS),
        ({"macs": (MAC, "ff:ff:ff:ff:ff:ff")}, NotWoken.ADDRESS),
        ({"macs": ("01:00:5e:00:00:01",)}, NotWoken.ADDRESS),
        ({"macs": ("00-1A-2B-3C-4D-5E",)}, NotWoken.ADDRESS),
        ({"broadcasts": ()}, NotWoken.ELSEWHERE),
        ({"lately": WAKES_A_MINUTE}, NotWoken.OFTEN),
    ],
)
def test_every_way_to_a_no_in_every_mode(mode, changed, reason):
    decision = decide(replace(REQUEST, **changed), LocalPolicy(mode=mode))
    assert (decision.allowed, decision.reason) == (False, reason)


def test_the_messages_are_bounded():
    assert messages.decode(messages.encode(MESSAGE)) == MESSAGE
    for changed in ({"macs": (MAC,) * 5}, {"networks": ("10.0.0.0/8",) * 5}, {"machine": "x" * 121}):
        with pytest.raises(WireError):
            messages.decode(messages.encode(replace(MESSAGE, **changed)))


# --- what goes out


@pytest.fixture
def made(tmp_path):
    """The agent's part with its own audit log, and what it said and was asked."""
    audit, said, requests = AuditLog(tmp_path), [], []

    def decided(request):
        requests.append(request)
        return authorise(request, policy=LocalPolicy(), grants=(), now=NOW)

    return Waking(audit=audit, decide=decided, send=said.append), said, requests


@pytest.fixture
def here(monkeypatch):
    """This machine is in a network of its own loopback, where nothing leaves it."""
    lan = Lan(name="lo", macs=(mac(1),), address=ipaddress.IPv4Interface("127.66.0.1/16"), wired=True)
    monkeypatch.setattr(waking, "lans", lambda: [lan])
    return lan


async def test_three_times_to_everyone_in_the_shared_network_and_an_answer(made, here, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        try:
            ear.bind((here.broadcast, waking.PORT))
        except PermissionError:
            pytest.skip("port 9 needs the right to it")
        ear.settimeout(5)
        part, said, _ = made
        await part.wake(MESSAGE)
        for _ in range(3):
            data, (sender, _) = ear.recvfrom(2048)
            assert data == magic_packet(MAC)
            assert sender == "127.66.0.1"
        ear.setblocking(False)
        with pytest.raises(BlockingIOError):
            ear.recv(2048)
    assert said == [messages.WakeAnswer(request_id="12345678", packets=3)]
    assert '"event":"wake"' in (tmp_path / "audit.jsonl").read_text()


async def test_the_server_names_a_network_never_an_address(made, here):
    part, said, requests = made
    await part.wake(replace(MESSAGE, networks=("0.0.0.0/0", "192.168.1.0/24", "127.66.0.255/32", "x")))
    assert (said[0].packets, said[0].reason) == (0, NotWoken.ELSEWHERE)
    assert requests[0].broadcasts == ()


async def test_six_a_minute(made, here, monkeypatch):
    monkeypatch.setattr(waking, "PAUSE", 0)
    part, said, _ = made
    for _ in range(WAKES_A_MINUTE + 2):
        await part.wake(MESSAGE)
    assert [bool(answer.packets) for answer in said] == [True] * WAKES_A_MINUTE + [False] * 2
    assert said[-1].reason == NotWoken.OFTEN
    monkeypatch.setattr(waking, "MINUTE", 0)
    await part.wake(MESSAGE)
    assert said[-1].packets, "a minute later"


async def test_a_network_that_takes_nothing_is_told(made, here, monkeypatch):
    monkeypatch.setattr(waking, "PAUSE", 0)
    gone = Lan(name="lo", macs=here.macs, address=ipaddress.IPv4Interface("10.255.66.1/16"), wired=True)
    monkeypatch.setattr(waking, "lans", lambda: [gone])
    part, said, _ = made
    await part.wake(replace(MESSAGE, networks=(gone.network,)))
    assert said[0].packets == 0
    assert said[0].reason.startswith(NotWoken.NETWORK + " (")


async def test_interfaces_that_cannot_be_listed_are_none(made, monkeypatch):
    def fails():
        raise OSError("no such file")

    monkeypatch.setattr(waking, "lans", fails)
    part, said, _ = made
    await part.wake(MESSAGE)
    assert said[0].reason == NotWoken.ELSEWHERE

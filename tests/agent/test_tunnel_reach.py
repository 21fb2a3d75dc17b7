"""Where a tunnel may lead."""

from __future__ import annotations

import ipaddress

import pytest

from compagnon_agent import reach
from compagnon_agent.reach import refusal, resolve, split

OWN = frozenset({ipaddress.ip_address("192.168.1.5"), ipaddress.ip_address("2001:db8::5")})


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.168.1.20", "nas"),
        ("10.0.0.1", "10.0.0.1"),
        ("fd00::1", "printer.lan"),
        ("8.8.8.8", "dns.google"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("::1", "::1"),
        ("192.168.1.5", "192.168.1.5"),
    ],
)
def test_what_the_person_read_is_dialled(address, host):
    assert refusal(ipaddress.ip_address(address), host, OWN) == ""


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("169.254.169.254", "169.254.169.254"),
        ("::ffff:169.254.169.254", "metadata"),
        ("fe80::1", "fe80::1"),
        ("fd00:ec2::254", "x"),
        ("100.100.100.200", "x"),
        ("168.63.129.16", "x"),
        ("224.0.0.1", "x"),
        ("0.0.0.0", "0.0.0.0"),
        ("255.255.255.255", "x"),
        ("::", "::"),
        ("127.0.0.1", "intranet.example"),
        ("127.1.2.3", "intranet.example"),
        ("::ffff:127.0.0.1", "intranet.example"),
        ("192.168.1.5", "intranet.example"),
        ("2001:db8::5", "intranet.example"),
    ],
)
def test_what_only_pretends_is_not(address, host):
    assert refusal(ipaddress.ip_address(address), host, OWN)


def test_targets_are_split():
    assert split("nas:22") == ("nas", 22)
    assert split("[fe80::1]:443") == ("fe80::1", 443)
    for wrong in ("", "nas", "nas:", ":22", "nas:0", "nas:65536", "nas:x", "nas:٢٢"):
        with pytest.raises(OSError, match="host and port"):
            split(wrong)


async def test_a_name_that_leads_here_is_refused_and_so_is_one_that_nobody_knows(monkeypatch):
    assert await resolve("localhost:80") == (["127.0.0.1"], 80) or await resolve("127.0.0.1:80")
    monkeypatch.setattr(reach, "_names_itself", lambda _host: False)
    with pytest.raises(OSError, match="itself"):
        await resolve("localhost:80")
    with pytest.raises(OSError, match="not known"):
        await resolve("there-is-no-such-name.invalid:80")

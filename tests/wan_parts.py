"""A bad network for real processes: namespaces joined by lines that lose, delay, double and reorder whole IP packets.

The server's namespace is the middle; whoever runs the test is put there. An agent and a browser have one each, and a
``Line`` to it: two tun devices and a thread that carries packets from one to the other. TCP does everything that it
does over a real network; nothing of the machine's own network is touched or reached.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

NEW_NETWORK = 0x40000000  # CLONE_NEWNET, for unshare(2) and setns(2)
TUNSETIFF = 0x400454CA
TUN_WITHOUT_HEADER = 0x1001  # IFF_TUN | IFF_NO_PI
SERVER = "10.77.0.1"
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _in_thread(work: Callable[[], None]) -> None:
    """A namespace belongs to a thread: one of its own leaves the others where they are."""
    fault: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if fault:
        raise fault[0]


@dataclass(slots=True)
class Namespace:
    """A network of its own, for as long as ``handle`` is open."""

    handle: int = -1

    def __post_init__(self) -> None:
        _in_thread(self._make)

    def _make(self) -> None:
        _checked(_libc.unshare(NEW_NETWORK))
        self.handle = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        ip("link", "set", "lo", "up")

    def inside(self, work: Callable[[], None]) -> None:
        def run() -> None:
            _checked(_libc.setns(self.handle, NEW_NETWORK))
            work()

        _in_thread(run)

    def ip(self, *arguments: str) -> None:
        self.inside(lambda: ip(*arguments))

    def device(self, name: str, address: str) -> int:
        """A tun device; the descriptor that its packets come out of and go into."""
        made: list[int] = []

        def make() -> None:
            handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH22x", name.encode(), TUN_WITHOUT_HEADER))
            ip("addr", "add", address, "dev", name)
            ip("link", "set", name, "up")
            made.append(handle)

        self.inside(make)
        return made[0]

    @property
    def command(self) -> list[str]:
        """Before a command: it runs in here."""
        return [shutil.which("nsenter") or "nsenter", f"--net=/proc/{os.getpid()}/fd/{self.handle}"]

    def close(self) -> None:
        os.close(self.handle)


def ip(*arguments: str) -> None:
    done = subprocess.run([_ip(), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def _ip() -> str:
    return shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin") or "ip"


@dataclass(slots=True, kw_only=True)
class Way:
    """One direction. ``jitter`` seconds more or less than ``delay``, for each packet by itself: so they overtake."""

    cut: bool = False
    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    doubled: float = 0.0
    passed: int = 0
    lost: int = 0

    def due(self, now: float, dice: random.Random) -> list[float]:
        """When a packet that came now goes out: not at all, once or twice."""
        if self.cut or (self.loss and dice.random() < self.loss):
            self.lost += 1
            return []
        self.passed += 1
        times = 2 if self.doubled and dice.random() < self.doubled else 1
        return [now + max(0.0, self.delay + dice.uniform(-self.jitter, self.jitter)) for _ in range(times)]


@dataclass(slots=True, kw_only=True)
class Line:
    """Between the server and somebody: ``up`` is towards the server. Seeded: the same packets are lost each time."""

    near: int
    far: int
    up: Way = field(default_factory=Way)
    down: Way = field(default_factory=Way)
    _dice: random.Random = field(default_factory=lambda: random.Random(7))
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._carry, name="line", daemon=True)
        self._thread.start()

    def cut(self, *, up: bool = True, down: bool = True) -> None:
        """From now on nothing comes through, and nobody is told."""
        self.up.cut, self.down.cut = up, down

    def mend(self) -> None:
        self.cut(up=False, down=False)

    def bad(self, **how: float) -> None:
        for way in (self.up, self.down):
            for name, value in how.items():
                setattr(way, name, value)

    def stop(self) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()
        os.close(self.near)
        os.close(self.far)

    def _carry(self) -> None:
        waiting: list[tuple[float, int, int, bytes]] = []
        number = 0
        while not self._over.is_set():
            pause = min(0.1, max(0.0, waiting[0][0] - time.monotonic())) if waiting else 0.1
            ready, _, _ = select.select([self.near, self.far], [], [], pause)
            for handle in ready:
                way, to = (self.down, self.far) if handle == self.near else (self.up, self.near)
                for packet in _packets(handle):
                    for due in way.due(time.monotonic(), self._dice):
                        number += 1
                        heapq.heappush(waiting, (due, number, to, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, to, packet = heapq.heappop(waiting)
                with contextlib.suppress(OSError):
                    os.write(to, packet)


def _packets(handle: int) -> Iterator[bytes]:
    for _ in range(64):
        try:
            yield os.read(handle, 65536)
        except OSError:
            return


@dataclass(slots=True, kw_only=True)
class Place:
    """Where an agent or a browser is: its namespace, and its line to the server."""

    space: Namespace
    line: Line
    number: int

    def moves(self, last: int) -> None:
        """Another address, as a machine gets in another network: the old one is gone."""
        self.space.ip("addr", "flush", "dev", "wan")
        self.space.ip("addr", "add", f"10.77.{self.number}.{last}/24", "dev", "wan")
        self.space.ip("route", "replace", "default", "dev", "wan")


@dataclass(slots=True, kw_only=True)
class Wan:
    """``agent`` and ``page`` have a line each to the server, which is at ``SERVER`` for everybody."""

    server: Namespace
    agent: Place
    page: Place


@contextlib.contextmanager
def wan() -> Iterator[Wan]:
    """The caller's thread, and what it starts from then on, is in the server's namespace until the end."""
    with contextlib.ExitStack() as stack:
        try:
            server = Namespace()
            stack.callback(server.close)
            server.ip("addr", "add", f"{SERVER}/32", "dev", "lo")
            agent, page = (_place(server, number, stack) for number in (1, 2))
        except (OSError, AssertionError) as fault:
            pytest.skip(f"needs network namespaces and tun devices (root): {fault}")
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        stack.callback(os.close, home)
        _checked(_libc.setns(server.handle, NEW_NETWORK))
        stack.callback(lambda: _checked(_libc.setns(home, NEW_NETWORK)))
        yield Wan(server=server, agent=agent, page=page)


def _place(server: Namespace, number: int, stack: contextlib.ExitStack) -> Place:
    space = Namespace()
    stack.callback(space.close)
    near = server.device(f"wan{number}", f"10.77.{number}.1/24")
    far = space.device("wan", f"10.77.{number}.2/24")
    line = Line(near=near, far=far)
    stack.callback(line.stop)
    space.ip("route", "replace", "default", "dev", "wan")
    line.start()
    return Place(space=space, line=line, number=number)

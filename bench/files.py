"""Files up and down: Compagnon's whole path (HTTP, server, agent, disk) against scp on loopback, in the same run.

    python bench/files.py [--megabytes 512] [--rounds 3]

The HTTP client does what the page's script does: pieces of 8 MiB, the whole compared by SHA-256 in the end. The sides
take turns. scp goes to a disposable sshd (skipped where there is none). What arrived is compared with what was sent,
outside of the time taken.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.client
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from remote_server import Bench, agent_process, free_port, serving, signed_in

from tickets.desk.model import NewTicket

PIECE = 8 * 1024 * 1024
READ = 1024 * 1024
MEGABYTE = 1_000_000
Transfer = Callable[[Path, Path], None]


class Page:
    """What a browser does in a session for files: one connection, headers of a signed-in page."""

    def __init__(self, address: str, base: str, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
        self._base = base
        self._headers = headers

    def _ask(self, method: str, path: str, body: bytes) -> dict[str, object]:
        self._connection.request(method, self._base + path, body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text)

    def up(self, source: Path, target: Path) -> None:
        size = source.stat().st_size
        about = {"key": quote(str(target.parent)), "names": [target.name], "size": size, "modified": 1}
        begun = self._ask("POST", "/uploads", json.dumps(about).encode())
        digest, at = hashlib.sha256(), 0
        with source.open("rb") as file:
            while data := file.read(PIECE):
                digest.update(data)
                at = self._ask("PUT", f"/uploads/{begun['token']}?start={at}", data)["have"]
        self._ask("POST", f"/uploads/{begun['token']}/end", json.dumps({"sha256": digest.hexdigest()}).encode())

    def down(self, source: Path, target: Path) -> None:
        key = quote(quote(str(source)))
        self._connection.request("GET", f"{self._base}/download?path={key}", headers=dict(self._headers))
        answer = self._connection.getresponse()
        assert answer.status == 200, answer.read()
        with target.open("wb") as file:
            shutil.copyfileobj(answer, file, READ)


async def open_page(bench: Bench, machine_id: int) -> Page:
    new = NewTicket(client_id=bench.client_id, title="Banc d'essai", owner_id=bench.alice.id)
    ticket = await bench.services.tickets.desk.open(new, bench.alice)
    client = await signed_in(bench)
    form = {"ticket_id": ticket, "reason": "Mesurer les fichiers", "capability": "files"}
    answer = await client.post(f"/machines/{machine_id}/sessions", data=form)
    session_id = answer.headers["location"].rpartition("/")[2]
    while (await client.post(f"/sessions/{session_id}/ticket")).json()["state"] != "open":
        await asyncio.sleep(0.1)
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    headers = {"Cookie": cookies, "Origin": bench.url, "x-csrftoken": client.headers["x-csrftoken"]}
    await client.aclose()
    return Page(bench.url, f"/sessions/{session_id}/files", headers)


class Scp:
    """`scp` to a disposable sshd."""

    def __init__(self, folder: Path, port: int) -> None:
        self._command = [
            "scp", "-q", "-F", "/dev/null", "-P", str(port), "-i", str(folder / "user"),
            "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}",
        ]  # fmt: skip

    def up(self, source: Path, target: Path) -> None:
        subprocess.run([*self._command, str(source), f"127.0.0.1:{target}"], check=True)

    def down(self, source: Path, target: Path) -> None:
        subprocess.run([*self._command, f"127.0.0.1:{source}", str(target)], check=True)


@contextmanager
def scp_side() -> Iterator[Scp]:
    folder = Path(tempfile.mkdtemp(prefix="compagnon-sshd-"))
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    options = [
        f"ListenAddress=127.0.0.1:{port}", f"HostKey={folder / 'host'}", f"AuthorizedKeysFile={folder / 'authorized'}",
        f"PidFile={folder / 'pid'}", "StrictModes=no", "UsePAM=no", "PermitRootLogin=yes", "PasswordAuthentication=no",
        "Subsystem=sftp internal-sftp",
    ]  # fmt: skip
    command = [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-f", "/dev/null"]
    for option in options:
        command += ["-o", option]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as daemon:
        try:
            time.sleep(1)
            yield Scp(folder, port)
        finally:
            daemon.terminate()
            shutil.rmtree(folder, ignore_errors=True)


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one(transfer: Transfer, source: Path, folder: Path) -> float:
    """Seconds for one transfer."""
    target = folder / f"arrived-{time.monotonic_ns()}.bin"
    os.sync()
    started = time.perf_counter()
    transfer(source, target)
    took = time.perf_counter() - started
    assert digest_of(target) == digest_of(source)
    target.unlink()
    return took


async def measure(megabytes: int, rounds: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="compagnon-files-"))
    source = folder / "source.bin"
    source.write_bytes(os.urandom(megabytes * MEGABYTE))
    try:
        async with serving() as bench:
            machine_id, agent = await agent_process(bench)
            try:
                page = await open_page(bench, machine_id)
                await asyncio.to_thread(compare, page, source, folder, rounds)
            finally:
                agent.terminate()
                await agent.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compare(page: Page, source: Path, folder: Path, rounds: int) -> None:
    if not shutil.which("scp") or not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
        print("scp or sshd is missing: only Compagnon is measured")
        report({"Compagnon": page}, source, folder, rounds)
        return
    with scp_side() as scp:
        report({"Compagnon": page, "scp": scp}, source, folder, rounds)


def report(sides: Mapping[str, Page | Scp], source: Path, folder: Path, rounds: int) -> None:
    size = source.stat().st_size / MEGABYTE
    for way in ("up", "down"):
        speeds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                speeds[name].append(size / one(getattr(side, way), source, folder))
        middle = {name: statistics.median(found) for name, found in speeds.items()}
        told = "   ".join(f"{name} {speed:6.1f} MB/s" for name, speed in middle.items())
        share = f"   {middle['Compagnon'] / middle['scp']:5.0%} of scp" if "scp" in middle else ""
        print(f"{way:<5} {size:.0f} MB   {told}{share}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.megabytes, arguments.rounds))

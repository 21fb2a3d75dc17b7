"""A disposable OpenSSH server: its own keys, port and account's folder, on loopback."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
SFTP = "/usr/lib/openssh/sftp-server"
SHELL = """#!/bin/sh
export HOME="{home}" HISTFILE=/dev/null
cd "$HOME"
[ -n "$SSH_ORIGINAL_COMMAND" ] && exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
exec /bin/bash --noprofile --norc -i
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def _run(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@dataclass(slots=True, kw_only=True)
class Sshd:
    """``home`` is the account's own folder; keys given to ``allow`` may sign in as whoever runs the tests."""

    folder: Path
    port: int = field(default_factory=free_port)
    user: str = field(default_factory=getpass.getuser)
    process: asyncio.subprocess.Process | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    async def prepare(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where sshd, started by root, puts its unprivileged part
        self.folder.mkdir(mode=0o700)
        self.home.mkdir()
        await self.new_key()
        shell = self.folder / "shell"
        shell.write_text(SHELL.format(home=self.home))
        shell.chmod(0o755)
        (self.folder / "authorized_keys").touch()

    async def new_key(self) -> None:
        for old in self.folder.glob("host*"):
            old.unlink()
        await _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "host"))

    async def fingerprint(self) -> str:
        return (await _run("ssh-keygen", "-lf", str(self.folder / "host.pub"))).split()[1]

    def allow(self, public_line: str) -> None:
        (self.folder / "authorized_keys").write_text(public_line + "\n")

    async def start(self, *more: str) -> None:
        options = [
            "ListenAddress=127.0.0.1", f"HostKey={self.folder / 'host'}", f"PidFile={self.folder / 'pid'}",
            f"AuthorizedKeysFile={self.folder / 'authorized_keys'}", "StrictModes=no", "UsePAM=no",
            "KbdInteractiveAuthentication=no", "MaxStartups=100:1:200", "MaxSessions=50", *more,
            # Of whoever runs the tests no start-up file is read (they may wait for locks): bash looks for them in HOME.
            f"SetEnv=HOME={self.home}", f"ForceCommand={self.folder / 'shell'}", f"Subsystem=sftp {SFTP}",
        ]  # fmt: skip
        arguments = [item for option in options for item in ("-o", option)]
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                SSHD, "-D", "-e", "-f", "/dev/null", "-p", str(self.port), *arguments,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        await self._listening()

    async def _listening(self) -> None:
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                await writer.wait_closed()
                return
            except OSError:
                await asyncio.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    async def stop(self) -> None:
        if self.process and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    async def kill_all(self) -> None:
        """The server and every connection of it, at once."""
        if self.process is None or self.process.returncode is not None:
            return
        found = psutil.Process(self.process.pid)
        for process in [*found.children(recursive=True), found]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await self.process.wait()

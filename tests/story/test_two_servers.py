"""Two server processes on one database and one data folder, behind a balancer that goes by the session's id."""

from __future__ import annotations

import asyncio
import html
import re
import shutil
import subprocess
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from kill_parts import PROCEDURE, World, signed_in, world
from remote_parts import Page, until
from ssh_parts import SSHD, Sshd
from up_parts import Up, as_url, free_port, new_up
from waking_parts import Town, lan

from compagnon.app.wiring import build_services, running
from compagnon_agent.protocol import frames
from compagnon_agent.protocol.waking import NotWoken
from remote.ssh.model import DeviceKind, NewDevice

pytestmark = pytest.mark.timeout(300)
LINES = 500
COUNT = f"i=0; while [ $i -lt {LINES} ]; do echo ligne $i; i=$((i+1)); sleep 0.004; done; echo F''IN\r"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
SHIPPED = Path(__file__).parents[2] / "docs/how-to/production/nginx.conf"


@dataclass(slots=True, kw_only=True)
class Balancer:
    """What nginx does with ``hash $session_id consistent`` (docs/how-to/production/nginx.conf), steered by the test.

    ``sessions`` and ``control`` are the ports wanted for either; where nobody answers, the other one is asked.
    """

    ports: list[int]
    sessions: int = 0
    control: int = 0
    port: int = field(default_factory=free_port)
    tasks: set[asyncio.Task] = field(default_factory=set)
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self):
        return await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader, writer):
        self.open.add(writer)
        try:
            await self._lead(reader, writer)
        finally:
            self.open.discard(writer)
            writer.close()

    async def end(self):
        """Whoever is connected still leaves before the test does."""
        for writer in list(self.open):
            writer.close()
        await until(lambda: not self.open, what="all connections are closed")

    async def _lead(self, reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            wanted = self.sessions if re.match(rb"\S+ /(agent/)?sessions/[0-9a-f]{32}", head) else self.control
            up_reader, up_writer = await self.connect(wanted)
            up_writer.write(head)
            pipes = [asyncio.create_task(pipe(reader, up_writer)), asyncio.create_task(pipe(up_reader, writer))]
            self.tasks.update(pipes)
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
            for task in pipes:
                task.cancel()
            up_writer.close()

    async def connect(self, wanted: int):
        for port in (wanted, *(port for port in self.ports if port != wanted)):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        raise OSError("nobody answers")


async def pipe(reader, writer):
    with suppress(OSError, asyncio.CancelledError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@dataclass(slots=True, kw_only=True)
class Two:
    """``here`` goes to the first server; ``alice`` is signed in at the second."""

    here: World
    balancer: Balancer
    server: asyncio.Server
    second: Up
    alice: object

    async def terminal(self) -> Page:
        """Asked for at the second server."""
        session_id = await self.asked(self.here.agent.machine_id)
        await until(lambda: self.state(session_id) == "open", what="the session is open")
        page = Page(base=self.balancer.url, http=self.alice, session_id=session_id)
        await page.open()
        await until(lambda: (page.last("welcome") or {}).get("agent") or page.last("link"), what="the agent is there")
        return page

    async def asked(self, machine_id: int, capability: str = "terminal") -> str:
        form = {"ticket_id": self.here.ticket, "reason": "Regarder le journal", "capability": capability}
        answer = await self.alice.post(f"/machines/{machine_id}/sessions", data=form)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"].rpartition("/")[2]

    async def agreed(self, machine_id: int, capability: str = "terminal") -> str:
        """A session on a device, to which somebody agreed on the telephone."""
        session_id = await self.asked(machine_id, capability)
        form = {"session_id": session_id, "person": "Mme Le Goff", "how": "phone"}
        answer = await self.alice.post(f"/devices/{machine_id}/consents", data=form)
        assert answer.status_code == 303, answer.text
        await until(lambda: self.state(session_id) == "open", what="the session is open")
        return session_id

    async def on_device(self, machine_id: int) -> Page:
        page = Page(base=self.balancer.url, http=self.alice, session_id=await self.agreed(machine_id))
        await page.open()
        await until(lambda: (page.last("welcome") or {}).get("agent") or page.last("link"), what="the shell is there")
        return page

    def state(self, session_id: str) -> str:
        return self.here.ask("SELECT state FROM remote_sessions WHERE id = %s", session_id)[0][0]


@pytest.fixture
async def two(database, tmp_path):
    """The agent's control connection is with the first server; where sessions meet is the test's to say."""
    with new_up() as first:
        second = replace(first, port=free_port(), process=None, folder=first.folder / "second")
        second.folder.mkdir()
        balancer = Balancer(ports=[first.port, second.port], sessions=second.port, control=first.port)
        shared = {
            "COMPAGNON_DATABASE_URL": as_url(database),
            "COMPAGNON_PUBLIC_URL": balancer.url,
            "COMPAGNON_DATA_DIR": str(first.data),
            "COMPAGNON_SSH_NETWORKS": "127.0.0.0/8",
        }
        first.environ = second.environ = shared
        async with AsyncExitStack() as stack:
            server = await balancer.start()
            stack.push_async_callback(balancer.end)
            stack.callback(server.close)
            made = await stack.enter_async_context(
                world(first, tmp_path / "agent", database=database, procedures=[PROCEDURE], through=balancer.url)
            )
            second.environ = dict(first.environ)
            await asyncio.to_thread(second.started)
            stack.callback(second.kill)
            await until(made.online, what="the agent is online")
            alice = await stack.enter_async_context(signed_in(second.url, made.cast.alice.email, origin=balancer.url))
            yield Two(here=made, balancer=balancer, server=server, second=second, alice=alice)


@pytest.mark.parametrize("where", ["first", "second"])
async def test_the_agent_with_one_the_member_with_the_other(two, where):
    two.balancer.sessions = two.here.up.port if where == "first" else two.second.port
    page = await two.terminal()
    await page.type("echo bon''jour\r")
    await page.see("bonjour")
    answer = await two.here.alice.post(f"/sessions/{page.session_id}/end")
    assert answer.status_code == 303, answer.text
    await until(lambda: page.last("ended"), what="the page is told, wherever the session was ended")
    assert two.state(page.session_id) == "ended"
    query = "SELECT state FROM recordings WHERE session_id = %s"
    await until(lambda: two.here.ask(query, page.session_id)[0][0] == "complete")


async def test_a_step_is_asked_for_at_one_and_done_through_the_other_once(two, tmp_path):
    file = tmp_path / "lines"
    form = {"machine": two.here.agent.machine_id, "ticket": two.here.ticket, "parameter-fichier": str(file)}
    answer = await two.alice.post("/procedures/tst-001/start", data=form)
    assert answer.status_code == 303, answer.text
    run = answer.headers["location"]
    page = await two.terminal()
    ((revision,),) = two.here.ask("SELECT revision FROM runs")
    answer = await two.alice.post(f"{run}/ask", data={"phase": "execute", "revision": revision})
    assert answer.status_code == 303, answer.text
    await until(lambda: two.here.ask("SELECT current_step FROM runs") == [("s2",)], seconds=30)
    assert file.read_text().split() == ["commence", "finit"]
    await until(lambda: page.last("step"), what="the session's page hears of the step")
    assert page.last("step")["step"].endswith("/s2")


async def test_a_neighbour_at_the_one_is_asked_from_the_other_to_wake_a_machine(two):
    """It is in no network that the absent machine was in: its refusal comes all the way back."""
    here = two.here
    told = "SELECT count(*) FROM machines WHERE facts_at IS NOT NULL AND policy -> 'sheet' ? 'wake'"
    await until(lambda: here.ask(told)[0][0], seconds=30, what="the neighbour has told its facts and its policy")
    async with here.services() as services:
        town = Town(services=services, member=here.cast.alice)
        absent = await town.machine(here.client_id, "Caisse", [lan()])
        await town.told(await services.remote.machines.get(here.agent.machine_id), {"lans": [lan("00:1a:2b:00:00:99")]})
    form = {"ticket_id": here.ticket, "reason": "Mise à jour"}
    answer = await two.alice.post(f"/machines/{absent.id}/wake", data=form)
    assert answer.status_code == 303, answer.text
    assert here.ask("SELECT state, reason FROM machine_wakings") == [("failed", NotWoken.ELSEWHERE)]
    assert '"kind":"wake"' in (here.agent.folder / "audit.jsonl").read_text()


@pytest.mark.parametrize("killed", ["control", "session"])
async def test_one_is_killed_and_the_terminal_goes_on_with_the_other(two, killed):
    """``control``: the agent's control connection was there. ``session``: the terminal was there."""
    two.balancer.sessions = two.here.up.port if killed == "session" else two.second.port
    page = await two.terminal()
    await page.type("stty -echo; PS1=; echo pr''et; compte=42\r")
    await page.see("pret\r\n")
    await page.type(COUNT)
    await page.see("ligne 50\r\n")
    two.here.up.kill()
    two.balancer.control = two.balancer.sessions = two.second.port
    if killed == "session":
        await asyncio.sleep(0.5)
        await page.close()
        await page.open(resume=True)
    await page.see("FIN\r\n", seconds=40)
    await page.type("echo compte=$compte\r")
    await page.see("compte=42", seconds=20)
    text = bytes(page.output).decode()
    assert [int(line.split()[1]) for line in text.splitlines() if line.startswith("ligne ")] == list(range(LINES))
    recorded = two.here.recorded().decode()
    assert [int(line.split()[1]) for line in recorded.splitlines() if line.startswith("ligne ")] == list(range(LINES))
    await page.socket.send(frames.resize(90, 30).encode())


# -- devices, which the server processes reach by themselves -----------------------------------------------------------


@pytest.fixture
async def device(two, tmp_path):
    """A real sshd, known and confirmed; both server processes were started again since."""
    if not Path(SSHD).exists() or not shutil.which("ssh-keygen"):
        pytest.skip("no OpenSSH server on this machine (apt install openssh-server)")
    sshd = Sshd(folder=tmp_path / "sshd")
    await sshd.prepare()
    await sshd.start()
    here = two.here
    built = build_services(replace(here.settings, ssh_networks=("127.0.0.0/8",)), here.database)
    async with running(built, background=False):
        ssh = built.remote.ssh
        access = await ssh.credentials.make(here.cast.alice, here.client_id, "maintenance")
        sshd.allow(access.public_key)
        new = NewDevice(
            name="NAS du bureau", kind=DeviceKind.NAS, host="127.0.0.1", port=sshd.port, username=sshd.user,
            credential_id=access.id,
        )  # fmt: skip
        made = await ssh.devices.add(here.cast.alice, here.client_id, new, site_id=None, environment=None)
        assert not await ssh.connector.look_at_key(made)
        (key,) = await ssh.devices.keys(made.machine_id)
        await ssh.devices.confirm(here.cast.alice, made.machine_id, key.id)
    for up in (here.up, two.second):
        up.kill()
        await asyncio.to_thread(up.started)
    online = "SELECT online FROM machines WHERE id = %s"
    await until(lambda: here.ask(online, made.machine_id) == [(True,)], what="the device is in use")
    yield made.machine_id
    await sshd.kill_all()


@pytest.mark.parametrize("where", ["first", "second"])
async def test_a_devices_terminal_begins_where_its_pages_come(two, device, where):
    """Asked for and agreed to at the second server, whichever of them the balancer brings the session to."""
    two.balancer.sessions = two.here.up.port if where == "first" else two.second.port
    page = await two.on_device(device)
    await page.type("echo un-$((1+1))-trois\r")
    await page.see("un-2-trois")
    answer = await two.here.alice.post(f"/sessions/{page.session_id}/end")
    assert answer.status_code == 303, answer.text
    await until(lambda: page.last("ended"), what="the page is told, wherever it was ended")
    query = "SELECT state FROM recordings WHERE session_id = %s"
    await until(lambda: two.here.ask(query, page.session_id)[0][0] == "complete")
    assert b"un-2-trois" in two.here.recorded_of(page.session_id)


async def test_a_devices_files_are_seen_where_their_pages_come(two, device):
    two.balancer.sessions = two.here.up.port
    session_id = await two.agreed(device, "files")
    async with signed_in(two.balancer.url, two.here.cast.alice.email) as alice:
        answer = await alice.get(f"/sessions/{session_id}/files")
        assert answer.status_code == 200, answer.text


async def test_another_process_that_starts_ends_no_devices_terminal(two, device):
    two.balancer.sessions = two.here.up.port
    page = await two.on_device(device)
    await page.type("compte=42; echo pr''et\r")
    await page.see("pret")
    two.second.kill()
    await asyncio.to_thread(two.second.started)
    await asyncio.sleep(2)
    await page.type("echo compte=$compte\r")
    await page.see("compte=42")
    assert two.state(page.session_id) == "open"


async def test_the_process_that_holds_a_devices_terminal_is_killed(two, device):
    """A shell on a device does not outlive it. The member is told so at once; the recording has what was shown."""
    two.balancer.sessions = two.here.up.port
    page = await two.on_device(device)
    await page.type("for i in $(seq 1 50); do echo ligne $i; done; echo F''IN; sleep 100\r")
    await page.see("FIN\r\n")
    two.here.up.kill()
    await page.close()
    two.balancer.sessions = two.second.port
    await page.open(resume=True)
    await until(lambda: page.last("ended"), seconds=10, what="the page is told")
    assert page.last("ended")["reason"] == "restarted"
    side = (await two.alice.get(f"/sessions/{page.session_id}/side")).text
    assert "le serveur a redémarré : un terminal sur un appareil s’arrête avec lui" in html.unescape(side)
    query = "SELECT state FROM recordings WHERE session_id = %s"
    await until(lambda: two.here.ask(query, page.session_id)[0][0] == "complete", what="the recording is complete")
    text = two.here.recorded_of(page.session_id).decode()
    assert [int(line.split()[1]) for line in text.splitlines() if line.startswith("ligne ")] == list(range(1, 51))
    ended = "SELECT details FROM audit_log WHERE action = 'session.ended' AND subject = %s"
    assert [one["reason"] for (one,) in two.here.ask(ended, f"session:{page.session_id}")] == ["restarted"]
    assert await two.here.audit_is_whole()


# -- a real balancer ---------------------------------------------------------------------------------------------------


def configuration(folder: Path, port: int, ports: list[int]) -> Path:
    """The shipped file, without TLS and with other ports."""
    text = SHIPPED.read_text().partition("server {\n    listen 80;")[0]
    text = re.sub(r"\n    (listen|ssl_)[^\n]*", "", text)
    text = text.replace("    server_name", f"    listen 127.0.0.1:{port};\n    server_name")
    text = re.sub(
        r"(    (# )?server 127\.0\.0\.1:88\d\d;\n)+", "".join(f"    server 127.0.0.1:{one};\n" for one in ports), text
    )
    text = text.replace("X-Forwarded-Proto $scheme", "X-Forwarded-Proto http")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / "nginx.conf"
    start = f"daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n"
    path.write_text(f"{start}{temporary}{text}}}\n")
    return path


@dataclass(slots=True, kw_only=True)
class Nginx:
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    def start(self, ports: list[int]) -> None:
        path = configuration(self.folder, self.port, ports)
        self.process = subprocess.Popen([NGINX, "-p", self.folder, "-c", path], stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
async def test_behind_nginx_one_of_two_is_killed_and_every_terminal_goes_on(two, tmp_path):
    """The balancer of the test gives way to nginx with the shipped configuration, at the same address."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    nginx = Nginx(folder=folder, port=two.balancer.port)
    two.server.close()
    await two.server.wait_closed()
    nginx.start([two.here.up.port, two.second.port])
    try:
        await two.here.agent.stop()
        await two.here.agent.start()
        await until(two.here.online, what="the agent came back through nginx")
        pages = [await two.terminal() for _ in range(4)]
        for page in pages:
            await page.type("stty -echo; PS1=; echo pr''et\r")
            await page.see("pret\r\n")
            await page.type(
                f"i=0; while [ $i -lt {LINES} ]; do echo ligne $i; i=$((i+1)); sleep 0.01; done; echo F''IN\r"
            )
        await pages[0].see("ligne 50\r\n")
        two.here.up.kill()
        await asyncio.sleep(1)
        for page in pages:
            await page.close()
            await page.open(resume=True)
        for page in pages:
            await page.see("FIN\r\n", seconds=60)
            text = bytes(page.output).decode()
            found = [int(line.split()[1]) for line in text.splitlines() if line.startswith("ligne ")]
            assert found == list(range(LINES))
    finally:
        nginx.stop()

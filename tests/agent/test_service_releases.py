"""New versions of the agent, for real: an agent under its launcher, releases good, broken, forged and replayed."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

import compagnon_agent
from compagnon_agent import audit, launcher, slots
from compagnon_agent.identity import public_bytes
from compagnon_agent.protocol import releases
from compagnon_agent.protocol.messages import Hello, ReleaseOffer, ReleaseQuery, ReleaseReport, Welcome
from compagnon_agent.protocol.releases import ReleaseManifest, ReleaseState, release_proof, write_manifest
from compagnon_agent.release_key import ReleaseKey
from compagnon_agent.selftest import PURPOSE

SOURCE = Path(compagnon_agent.__file__).parent


def wheel(version: str = "9.9.9", **edits: tuple[str, str]) -> bytes:
    """The agent's package as a wheel, with another version and some of its modules changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(SOURCE.rglob("*.py")):
            text = path.read_text()
            if path == SOURCE / "__init__.py":
                text = text.replace(compagnon_agent.__version__, version)
            if path.parent == SOURCE and path.stem in edits:
                before, after = edits[path.stem]
                assert before in text
                text = text.replace(before, after)
            archive.writestr(f"compagnon_agent/{path.relative_to(SOURCE)}", text)
    return buffer.getvalue()


CRASHES = {"run": ("    store = Store(settings.folder)\n", '    raise RuntimeError("broken")\n')}
ONCE = "    async def _once(self) -> None:\n"
NEVER_CONNECTS = {"control": (ONCE, f"{ONCE}        await asyncio.sleep(3600)\n")}
CANNOT_BE_IMPORTED = {"facts": ("import asyncio", "import asyncio, a_module_that_is_not_there")}


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


class Releasing:
    """What the speaking server lacks for releases: the file, and the self-test's handshake."""

    def __init__(self, server, key: Ed25519PrivateKey) -> None:
        self.server = server
        self.key = key
        self.files: dict[str, bytes] = {}
        self.versions: list[str] = []
        self.tested = 0

    def manifest(self, content: bytes, **fields) -> ReleaseManifest:
        given = {
            "version": "9.9.9",
            "counter": 1,
            "sha256": hashlib.sha256(content).digest(),
            "size": len(content),
            "minimum": "0.1.0",
            "expires": datetime.now(UTC) + timedelta(days=30),
        }
        return ReleaseManifest(**{**given, **fields})

    async def offer(self, content: bytes, *, signed_by: Ed25519PrivateKey | None = None, **fields) -> None:
        manifest = self.manifest(content, **fields)
        self.files.setdefault(manifest.sha256.hex(), content)
        source = write_manifest(manifest)
        signature = (signed_by or self.key).sign(release_proof(source))
        await self.server.send(ReleaseOffer(manifest=source, signature=signature))

    def answer(self, _connection, request):
        if request.path.startswith("/agent/releases/"):
            content = self.files.get(request.path.rpartition("/")[2])
            found = HTTPStatus.OK if content is not None else HTTPStatus.NOT_FOUND
            headers = Headers({"Content-Length": str(len(content or b"")), "Connection": "close"})
            return Response(found, found.phrase, headers, content or b"")
        return None

    async def handle(self, socket) -> None:
        if socket.request.path == "/agent/self-test":
            self.tested += 1
            with suppress(Exception):
                await self.server.prove(socket, PURPOSE, Welcome)
                await socket.wait_closed()
        else:
            await self.server._handle(socket)

    async def report(self, state: ReleaseState) -> ReleaseReport:
        return await self.server.expect(ReleaseReport, where=lambda item: item.state is state, timeout=150)


@pytest.fixture
async def releasing(speaking_server, key, folder) -> Releasing:
    """The same server on the same port, which now also answers what releases need."""
    found = Releasing(speaking_server, key)
    await speaking_server.stop()
    speaking_server._server = await serve(
        found.handle, "127.0.0.1", speaking_server.port, ping_interval=None, process_request=found.answer
    )
    prove = speaking_server.prove

    async def proving(socket, purpose, verdict):
        receive = socket.recv

        async def recv(*arguments, **options):
            data = await receive(*arguments, **options)
            hello = json.loads(data)
            if hello.get("type") == Hello.TYPE and purpose == "control":
                found.versions.append(hello["version"])
            socket.recv = receive
            return data

        socket.recv = recv
        await prove(socket, purpose, verdict)

    speaking_server.prove = proving
    ReleaseKey(public_bytes(key)).save(folder)
    return found


@pytest.fixture
async def installed(request, runner, folder, tmp_path) -> Path:
    """An agent as its installer leaves it: a launcher, and this version in slot a. Running."""
    home = tmp_path / "home"
    shutil.copytree(SOURCE, home / "slots" / "a" / "compagnon_agent", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOURCE / "launcher.py", home / "launcher.py")
    runner.extra |= {
        "COMPAGNON_AGENT_HEALTHY_AFTER": "0.5",
        "COMPAGNON_AGENT_RELEASES_EVERY": "0.5",
        "COMPAGNON_AGENT_TRIAL_SECONDS": getattr(request, "param", "120"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (folder / "agent.log").open("ab") as log:
        runner.process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(home / "launcher.py"), "run", env=runner.environment, stdout=log, stderr=log
        )
    return home


def state(home: Path) -> dict:
    return launcher.read_state(home)


async def test_a_good_release_is_tested_tried_and_confirmed(speaking_server, releasing, installed, runner, folder):
    await speaking_server.connected()
    first = await speaking_server.expect(ReleaseQuery)
    assert first.counter == 0
    await releasing.offer(wheel())
    await releasing.report(ReleaseState.TRIAL)
    done = await releasing.report(ReleaseState.CONFIRMED)
    assert (done.counter, done.reason) == (1, "")
    assert releasing.tested == 1
    assert releasing.versions[-1] == "9.9.9"
    assert (state(installed)["current"], state(installed)["trial"]) == ("b", None)
    pid = runner.process.pid
    await speaking_server.expect(ReleaseQuery, where=lambda item: item.counter == 1)

    # ... and the next one goes to the other slot, under the same supervised process.
    await releasing.offer(wheel("9.9.10"), version="9.9.10", counter=2)
    again = await speaking_server.expect(
        ReleaseReport, where=lambda item: (item.counter, item.state) == (2, ReleaseState.CONFIRMED), timeout=150
    )
    assert again.counter == 2
    assert state(installed)["current"] == "a"
    assert releasing.versions[-1] == "9.9.10"
    assert (runner.process.pid, runner.process.returncode) == (pid, None)
    events = [json.loads(line)["event"] for line in (folder / "audit.jsonl").read_text().splitlines()]
    assert events.count("restart") == 2
    assert audit.verify(folder)[1] is None


async def test_a_release_that_crashes_at_its_start_goes_back_by_itself(speaking_server, releasing, installed, runner):
    await speaking_server.connected()
    await releasing.offer(wheel(**CRASHES))
    back = await releasing.report(ReleaseState.ROLLED_BACK)
    assert "ended with status 1" in back.reason
    assert releasing.versions[-1] == compagnon_agent.__version__
    assert state(installed)["current"] == "a"
    assert runner.log.count("RuntimeError: broken") == launcher.STARTS
    await releasing.offer(wheel(**CRASHES))  # once is enough
    refused = await releasing.report(ReleaseState.REFUSED)
    assert "not newer than 1" in refused.reason
    (runner.folder / "agent.log").write_text("")  # its tracebacks were wanted


@pytest.mark.parametrize("installed", ["3"], indirect=True)
async def test_a_release_that_cannot_connect_goes_back_by_itself(speaking_server, releasing, installed, runner):
    await speaking_server.connected()
    await releasing.offer(wheel(**NEVER_CONNECTS))
    back = await releasing.report(ReleaseState.ROLLED_BACK)
    assert back.reason == "it was not connected in time"
    assert releasing.versions[-1] == compagnon_agent.__version__
    assert state(installed)["current"] == "a"


async def test_told_to_stop_during_a_trial_it_stops_and_goes_on_later(speaking_server, releasing, installed, runner):
    runner.extra["COMPAGNON_AGENT_HEALTHY_AFTER"] = "30"
    await speaking_server.connected()
    await releasing.offer(wheel(**NEVER_CONNECTS))
    await speaking_server.until(lambda: (state(installed)["trial"] or {}).get("starts") == 1, timeout=150)
    assert await runner.stop() == 0
    assert state(installed)["trial"]["starts"] == 0  # being told to stop is no failure


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("forged", {}, "did not sign"),
        ("expired", {"expires": datetime(2020, 1, 1, tzinfo=UTC)}, "has expired"),
        ("too far", {"minimum": "7.0.0"}, "needs version 7.0.0"),
        ("python", {"python": "3.99"}, "needs Python 3.99"),
        ("truncated", {}, "not the one that was signed"),
        ("swapped", {}, "not the one that was signed"),
        ("gone", {}, "404"),
        ("mislabelled", {"version": "9.9.8"}, "this is version 9.9.9, not 9.9.8"),
        ("unfit", {}, "a_module_that_is_not_there"),
        ("empty", {}, "there is no agent in it"),
        ("no zip", {}, "not a whole wheel"),
    ],
)
async def test_what_is_not_right_is_not_installed(
    speaking_server, releasing, installed, runner, folder, name, fields, reason
):
    content = wheel(**(CANNOT_BE_IMPORTED if name == "unfit" else {}))
    content = {"empty": _zip({"other.py": ""}), "no zip": b"nothing"}.get(name, content)
    sha = hashlib.sha256(content).hexdigest()
    if name in ("truncated", "swapped", "gone"):
        wrong = {"truncated": content[:-9], "swapped": bytes(len(content)), "gone": None}[name]
        releasing.files[sha] = wrong
    await speaking_server.connected()
    await releasing.offer(content, signed_by=Ed25519PrivateKey.generate() if name == "forged" else None, **fields)
    refused = await releasing.report(ReleaseState.REFUSED)
    assert reason in refused.reason
    assert state(installed)["trial"] is None
    assert set(releasing.versions) == {compagnon_agent.__version__}
    if name in ("forged", "expired"):
        last = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()][-1]
        assert (last["details"]["kind"], last["details"]["allowed"]) == ("release", False)
        assert not (installed / "slots" / "b").exists()


async def test_without_a_pinned_key_or_with_a_policy_against_it_nothing_is_taken(
    speaking_server, releasing, installed, runner, folder
):
    (folder / "release.pub").unlink()
    await speaking_server.connected()
    await releasing.offer(wheel())
    assert "no release key" in (await releasing.report(ReleaseState.REFUSED)).reason
    status, said = await runner.command("trust-releases", ReleaseKey(public_bytes(releasing.key)).text)
    assert status == 0, said
    runner.policy('mode = "attended"\nupdates = false\n')
    await asyncio.sleep(0.6)
    await releasing.offer(wheel(), counter=2)
    refused = await speaking_server.expect(ReleaseReport, where=lambda item: item.counter == 2)
    assert "policy of this machine" in refused.reason


# -- the parts --------------------------------------------------------------------------------------------------------


def _zip(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name", ["compagnon_agent/../../evil.py", "compagnon_agent/..\\evil.py", "compagnon_agent/c:x"]
)
def test_no_file_of_a_release_leaves_its_slot(tmp_path, name):
    with pytest.raises(slots.BadRelease):
        slots.unpack(_zip({"compagnon_agent/cli.py": "", name: "evil"}), tmp_path / "in")
    assert not list(tmp_path.rglob("*evil*"))


def test_absolute_names_and_other_packages_are_left_out(tmp_path):
    slots.unpack(_zip({"compagnon_agent/cli.py": "", "/etc/evil": "", "evil/__init__.py": ""}), tmp_path / "in")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["cli.py"]


def test_a_bomb_is_not_unpacked(tmp_path):
    with pytest.raises(slots.BadRelease, match="larger"):
        slots.unpack(_zip({"compagnon_agent/cli.py": " " * (slots.UNPACKED_LIMIT + 1)}), tmp_path / "in")


def test_the_version_in_force_is_never_overwritten(tmp_path):
    home = tmp_path / "home"
    (home / "slots").mkdir(parents=True)
    for current, free in (("a", "b"), ("b", "a")):
        launcher.write_state(home, {"current": current, "counter": 3, "trial": None, "last": None})
        assert slots.Slots(home=home, own=current).fill(wheel()) == free
    launcher.write_state(home, {"current": "z"})
    assert launcher.read_state(home)["current"] == "a"


def test_a_full_disk_leaves_no_half_version(tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / "slots" / "b").mkdir(parents=True)
    (home / "slots" / "b" / "kept").touch()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        slots.Slots(home=home, own="a").fill(wheel())
    assert [path.name for path in (home / "slots").iterdir()] == ["b"]
    assert (home / "slots" / "b" / "kept").exists()


def test_manifests_and_their_rules():
    manifest = ReleaseManifest(
        version="1.2.3",
        counter=5,
        sha256=bytes(32),
        size=10,
        minimum="1.0",
        expires=datetime(2030, 1, 1, tzinfo=UTC),
    )
    assert releases.read_manifest(write_manifest(manifest)) == manifest
    given = {"running": "1.0.0", "counter": 4, "python": "3.11.2", "now": datetime(2029, 1, 1, tzinfo=UTC)}
    assert releases.refusal(manifest, **given) == ""
    for change in ({"running": "0.9"}, {"running": "x"}, {"counter": 5}, {"counter": 6}, {"python": "3.10.9"}):
        assert releases.refusal(manifest, **{**given, **change}), change
    assert releases.refusal(manifest, **{**given, "now": manifest.expires})
    for bad in ("1", "1.2.3.4", "a.b", "1.2.3rc1", "", "12345.1"):
        with pytest.raises(releases.WireError):
            releases.read_manifest(write_manifest(replace(manifest, version=bad)))


def test_shares_are_stable_and_grow():
    places = [releases.place(machine, 7) for machine in range(1, 2001)]
    assert places == [releases.place(machine, 7) for machine in range(1, 2001)]
    assert min(places) == 0
    assert max(places) == 99
    assert 380 < sum(place < 25 for place in places) < 620
    assert places != [releases.place(machine, 8) for machine in range(1, 2001)]

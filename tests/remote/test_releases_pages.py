"""The administrators' page of releases, the installers and the packages, over a real server."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from compagnon.app import cli
from compagnon_agent import __version__
from compagnon_agent.protocol.releases import ReleaseManifest, release_proof, write_manifest
from remote.releases import installers, wheels
from remote.releases.model import Signed
from remote.releases.wheels import agent_wheel


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def signed(key: Ed25519PrivateKey, content: bytes, counter: int = 1) -> bytes:
    manifest = write_manifest(
        ReleaseManifest(
            version="9.9.9",
            counter=counter,
            sha256=hashlib.sha256(content).digest(),
            size=len(content),
            minimum="0.1.0",
            expires=datetime.now(UTC) + timedelta(days=3),
        )
    )
    return Signed(manifest=manifest, signature=key.sign(release_proof(manifest))).as_json().encode()


async def test_publishing_pausing_and_going_on_in_pages(server, cast, client_for, key):
    ada, alice = await client_for(cast.ada), await client_for(cast.alice)
    for path in ("/machines/releases", "/machines/releases/1"):
        assert (await alice.get(path)).status_code == 403
    page = await ada.get("/machines/releases")
    assert "agent-release keygen" in page.text
    assert 'name="manifest"' not in page.text
    await server.services.remote.releases.trust(cast.ada, key.public_key().public_bytes_raw())
    content = b"a release"

    async def publish(manifest: bytes, file: bytes, share: str = "5"):
        return await ada.post(
            "/machines/releases",
            data={"share": share},
            files={"manifest": ("m.json", manifest), "file": ("a.whl", file)},
        )

    refused = await publish(signed(Ed25519PrivateKey.generate(), content), content)
    assert refused.status_code == 422
    assert "pas signé ceci" in refused.text
    for manifest, file in ((b"", b""), (b"{}", b"x"), (b"[" * 20_000, b"x"), (signed(key, content), b"other")):
        assert (await publish(manifest, file)).status_code == 422
    assert (await publish(signed(key, content), content, "33")).status_code == 422
    done = await publish(signed(key, content), content)
    assert done.status_code == 303, done.text
    address = done.headers["location"]
    digest = hashlib.sha256(content).hexdigest()
    assert (await ada.get(f"/agent/releases/{digest}")).content == content

    seen = {"seen_state": "published", "seen_share": "5"}
    assert (await ada.post(address, data={**seen, "state": "paused"})).status_code == 303
    assert (await ada.get(f"/agent/releases/{digest}")).status_code == 404
    assert (await ada.post(address, data={**seen, "share": "100"})).status_code == 303  # what was seen is old: refused
    release = (await server.services.remote.releases.listed())[0]
    assert (release.state.value, release.share) == ("paused", 5)
    page = await ada.get("/machines/releases")
    assert "9.9.9" in page.text
    assert (await alice.post(address, data={**seen, "state": "published"})).status_code == 403


async def test_a_code_is_shown_with_its_lines(server, cast, client_for):
    from compagnon.audit import Actor
    from compagnon.directory.model import ClientKind

    client = await server.services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Menuiserie", actor=Actor.member(cast.alice.id), phones=(), sites=()
    )
    alice = await client_for(cast.alice)
    page = await alice.post("/machines/new", data={"client_id": str(client.id)})
    code = page.text.partition('data-enrolment-code="')[2][:8]
    assert f"curl -fsSL {server.url}/agent/install.sh | sh -s -- {code}" in page.text
    assert page.text.count("data-copy=") == 3


async def test_what_installers_fetch(server, client_for, cast):
    import httpx

    async with httpx.AsyncClient(base_url=server.url, follow_redirects=True) as anyone:
        script = (await anyone.get("/agent/install.sh")).text
        assert f"server={server.url}\n" in script
        wheel = (await anyone.get("/agent/agent.whl")).content
        assert hashlib.sha256(wheel).hexdigest() in script
        assert hashlib.sha256(wheel).hexdigest() in (await anyone.get("/agent/install.ps1")).text
        index = (await anyone.get("/agent/packages/")).text
        assert "cryptography-" in index
        for name in ("../secrets", "compagnon-0.1.0.whl", "x" * 150, "%2e%2e%2fsecret"):
            assert (await anyone.get(f"/agent/packages/{name}")).status_code in (400, 404)
        for digest in ("0" * 64, "zz", "A" * 64):
            assert (await anyone.get(f"/agent/releases/{digest}")).status_code in (400, 404)
        assert (await anyone.get("/agent/self-test")).status_code == 426


def test_the_wheels_are_whole_and_the_same_each_time(tmp_path):
    agent_wheel.cache_clear()
    first = agent_wheel()
    agent_wheel.cache_clear()
    assert agent_wheel().content == first.content
    names = zipfile.ZipFile(io.BytesIO(first.content)).namelist()
    assert f"compagnon_agent-{__version__}.dist-info/RECORD" in names
    assert not [name for name in names if name.endswith(".pyc")]
    place = tmp_path / "wheels"
    place.mkdir()
    (place / first.name).write_bytes(first.content)
    for name in wheels.needed():
        (place / name).write_bytes(wheels.dependency(name).content)
    assert len(list(place.iterdir())) >= 5
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(place),
         "--target", str(tmp_path / "into"), "compagnon-agent"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code = (
        "import compagnon_agent.run, cryptography.hazmat.primitives.asymmetric.ed25519, psutil; print(psutil.__file__)"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'into')!r}); {code}"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert str(tmp_path / "into") in ran.stdout


@pytest.mark.parametrize(
    "server", ["https://a.example/x'y", 'https://a.example/"$(touch evil)"', "https://a.example/`id`"]
)
def test_the_address_of_the_server_is_one_word_in_every_script(tmp_path, server):
    script = installers.shell_script(server)
    line = next(line for line in script.splitlines() if line.startswith("server="))
    said = subprocess.run(["sh", "-c", f'{line}\nprintf %s "$server"'], capture_output=True, text=True, cwd=tmp_path)
    assert said.stdout == server
    assert not list(tmp_path.iterdir())
    line = next(line for line in installers.powershell_script(server).splitlines() if line.startswith("$server ="))
    quoted = line.removeprefix("$server = ")
    assert quoted[0] == quoted[-1] == "'"
    assert quoted[1:-1].replace("''", "'") == server
    assert "'" not in quoted[1:-1].replace("''", "")


def test_the_installer_is_a_good_shell_script(tmp_path):
    path = tmp_path / "install.sh"
    path.write_text(installers.shell_script("https://a.example"))
    assert subprocess.run(["sh", "-n", str(path)], capture_output=True).returncode == 0
    half = path.read_text()[: len(path.read_text()) // 2].rpartition("\n")[0]
    path.write_text(half)
    done = subprocess.run(["sh", str(path), "1234"], capture_output=True, cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == [path], done.stderr  # cut off on its way: nothing happens


def run_cli(capsys, *arguments: str) -> tuple[int, str, str]:
    status = cli.main(list(arguments))
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_release_commands(tmp_path, capsys, monkeypatch, database):
    at = psycopg.conninfo.conninfo_to_dict(database)
    monkeypatch.setenv("COMPAGNON_DATABASE_URL", f"postgresql://{at['user']}@/{at['dbname']}?host={at['host']}")
    monkeypatch.setenv("COMPAGNON_DATA_DIR", str(tmp_path / "data"))
    secret, file = tmp_path / "secret", str(tmp_path / "release.key")
    secret.write_text("quatre mots\n")
    status, out, _ = run_cli(capsys, "agent-release", "keygen", file, "--passphrase-file", str(secret))
    assert status == 0
    public = out.partition("trust': ")[2].split()[0]
    assert Path(file).stat().st_mode & 0o777 == 0o600
    status, _, fault = run_cli(capsys, "agent-release", "keygen", file)
    assert (status, "cannot be written" in fault) == (1, True)  # never over an existing key
    sign = ("agent-release", "sign", file, "--counter", "1", "--folder", str(tmp_path))
    assert "passphrase" in run_cli(capsys, *sign)[2]
    status, out, fault = run_cli(capsys, *sign, "--passphrase-file", str(secret))
    assert status == 0, fault
    manifest, wheel = out.split()
    content = json.loads(Path(manifest).read_text())
    assert json.loads(content["manifest"])["version"] == __version__
    assert len(base64.b64decode(content["signature"])) == 64
    assert Path(wheel).read_bytes() == agent_wheel().content
    password = tmp_path / "password"
    password.write_text("correct horse battery")
    ada = ("ada@example.org", "--name", "Ada", "--role", "administrator", "--password-file", str(password))
    assert run_cli(capsys, "member", "add", *ada)[0] == 0
    publish = ("agent-release", "publish", manifest, wheel, "--author", "ada@example.org")
    assert "no release key" in run_cli(capsys, *publish)[2]
    assert run_cli(capsys, "agent-release", "trust", "nonsense", "--author", "ada@example.org")[0] == 1
    assert run_cli(capsys, "agent-release", "trust", public, "--author", "ada@example.org")[0] == 0
    assert "one of" in run_cli(capsys, *publish, "--share", "33")[2]
    assert "5 %" in run_cli(capsys, *publish)[1]
    for bad in (("--counter", "0"), ("--days", "0"), ("--minimum", "x")):
        assert run_cli(capsys, *sign, *bad, "--passphrase-file", str(secret))[0] == 1


async def test_new_machines_pin_the_release_key(server, cast, key, tmp_path):
    from wired_fixtures import enrol_agent

    await server.services.remote.releases.trust(cast.ada, key.public_key().public_bytes_raw())
    agent = await enrol_agent(server, cast, tmp_path / "agent")
    pinned = (agent.folder / "release.pub").read_text().strip()
    assert base64.b64decode(pinned) == key.public_key().public_bytes_raw()
    said = await agent.run("self-test", "--expect", __version__)
    assert "works here" in said

"""The command line: enrolment against a real HTTP server, the private folder, the service, the package by itself."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import os
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from compagnon_agent import __version__, audit, cli, identity
from compagnon_agent.audit import AuditLog
from compagnon_agent.enrol import EnrolmentError, enrol, server_address
from compagnon_agent.identity import public_bytes
from compagnon_agent.protocol.signing import enrolment_proof, fingerprint
from compagnon_agent.settings import Settings, SettingsError, private_folder

AGENT = Path(__file__).parents[2] / "agent"


class Desk(http.server.BaseHTTPRequestHandler):
    """Takes enrolments; `status` and `answer` say what is answered."""

    key = Ed25519PrivateKey.generate()
    status = 201
    answer: object = None
    bodies: list[dict] = []  # noqa: RUF012 - one server at a time

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Desk.bodies.append({"path": self.path, **body})
        default = {
            "machine_id": 12,
            "server_key": base64.b64encode(public_bytes(self.key)).decode(),
            "state": "pending",
        }
        payload = json.dumps(default if Desk.answer is None else Desk.answer).encode()
        self.send_response(Desk.status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def desk() -> Iterator[str]:
    Desk.status, Desk.answer, Desk.bodies = 201, None, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def run(folder: Path, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "compagnon_agent.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COMPAGNON_AGENT_DIR": str(folder), "PYTHONWARNINGS": "error"},
        **options,
    )


def test_enrolment_proves_the_key_and_pins_the_server(desk, tmp_path):
    folder = tmp_path / "state" / "agent"
    done = run(folder, "enroll", desk + "/", "cheval", "bleu", "42", "--name", "Poste de Marie")
    assert done.returncode == 0
    assert done.stdout.startswith("Enrolled as machine 12. A technician must approve it now.\n")
    (body,) = Desk.bodies
    assert (body["path"], body["code"], body["name"], body["version"]) == (
        "/agent/enroll",
        "cheval bleu 42",
        "Poste de Marie",
        __version__,
    )
    public = base64.b64decode(body["public_key"])
    assert fingerprint(public) in done.stdout
    proof = enrolment_proof(code="cheval bleu 42", public_key=public)
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(body["signature"]), proof)
    known = identity.load(folder)
    assert known is not None
    assert (known.machine_id, known.server, known.server_key) == (12, desk, public_bytes(Desk.key))
    assert known.websocket("/agent/control") == desk.replace("http", "ws") + "/agent/control"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.iterdir()} == {0}
    assert 'mode = "attended"' in run(folder, "policy").stdout


def test_enrolling_twice_needs_force_and_makes_a_new_key(desk, tmp_path):
    folder = tmp_path / "agent"
    run(folder, "enroll", desk, "code")
    again = run(folder, "enroll", desk, "code")
    assert again.returncode == 1
    assert "enrolled already" in again.stderr
    assert run(folder, "enroll", desk, "code", "--force").returncode == 0
    assert Desk.bodies[0]["public_key"] != Desk.bodies[1]["public_key"]


def test_a_refusal_is_said_in_one_clean_sentence(desk, tmp_path):
    Desk.status, Desk.answer = 422, {"detail": "Ce code n'est plus valable.\x1b[2J"}
    done = run(tmp_path / "agent", "enroll", desk, "code")
    assert (done.returncode, done.stderr) == (1, "compagnon-agent: Ce code n'est plus valable.[2J\n")
    assert identity.load(tmp_path / "agent") is None


@pytest.mark.parametrize(
    "answer",
    [[], {}, "x", {"machine_id": "12", "server_key": ""}, {"machine_id": 0, "server_key": "AA=="}, {"machine_id": 1}],
)
def test_an_answer_of_another_program_is_refused(desk, tmp_path, answer):
    Desk.answer = answer
    with pytest.raises(EnrolmentError, match="not one of Compagnon's"):
        enrol(private_folder(tmp_path / "agent"), desk, "code")


def test_an_unreachable_server_is_said(tmp_path):
    done = run(tmp_path / "agent", "enroll", "http://127.0.0.1:9", "code")
    assert done.returncode == 1
    assert "did not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_addresses():
    assert server_address(" https://compagnon.example.org/ ", allow_http=False) == "https://compagnon.example.org"
    assert server_address("http://localhost:8000", allow_http=False) == "http://localhost:8000"
    assert server_address("http://nas.local", allow_http=True) == "http://nas.local"
    for bad in ("http://compagnon.example.org", "ftp://x", "compagnon", "https://", "https://u:p@h", "https://h/?a"):
        with pytest.raises(EnrolmentError):
            server_address(bad, allow_http=False)


def test_commands_before_enrolment_say_what_to_do(tmp_path):
    for command in ("run", "status", "install-service"):
        done = run(tmp_path / "agent", command)
        assert done.returncode == 1
        assert "not enrolled yet" in done.stderr
    done = run(tmp_path / "agent", "stop-session")
    assert "no agent is running" in done.stderr


def test_a_broken_policy_or_identity_stops_the_agent_with_a_sentence(desk, tmp_path):
    folder = tmp_path / "agent"
    run(folder, "enroll", desk, "code")
    (folder / "policy.toml").write_text("mode = 3")
    assert "mode must be one of" in run(folder, "run").stderr
    (folder / "identity.json").write_text("{}")
    done = run(folder, "run")
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings(tmp_path):
    settings = Settings.load({"COMPAGNON_AGENT_DIR": str(tmp_path), "COMPAGNON_AGENT_BACKOFF_CAP": "2"})
    assert (settings.folder, settings.backoff_base, settings.backoff_cap) == (tmp_path, 1.0, 2.0)
    assert Settings.load({"COMPAGNON_AGENT_DIR": "/x"}, folder=tmp_path).folder == tmp_path
    for bad in ("x", "-1", "1e9"):
        with pytest.raises(SettingsError, match="COMPAGNON_AGENT_FACTS_EVERY"):
            Settings.load({"COMPAGNON_AGENT_FACTS_EVERY": bad})


def test_an_open_folder_is_closed(tmp_path):
    folder = tmp_path / "agent"
    folder.mkdir(mode=0o755)
    private_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError):
        private_folder(tmp_path / "file")


def test_uninstall_removes_only_its_own_files(desk, tmp_path):
    folder = tmp_path / "agent"
    run(folder, "enroll", desk, "code")
    (folder / "notes.txt").write_text("à moi")
    assert run(folder, "uninstall", input="no\n").returncode == 1
    assert identity.load(folder) is not None
    assert run(folder, "uninstall", "--yes").returncode == 0
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_the_local_record_does_not_grow_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "FULL", 2000)
    log = AuditLog(tmp_path)
    log.record("decision", {"number": 0})
    for number in range(1, 20):
        log.record("decision", {"number": number})
    files = [tmp_path / audit.AUDIT_FILE, *(tmp_path / name for name in audit.OLDER)]
    assert [path.exists() for path in files] == [True, True, True, False, False]
    lines, broken = audit.verify(tmp_path)
    assert (lines, broken) == (22, None)
    for number in range(200):
        log.record("decision", {"number": number})
    assert all(2000 <= path.stat().st_size < 2400 for path in files[1:])
    assert len(list(tmp_path.iterdir())) == 1 + audit.KEPT
    assert {path.stat().st_mode & 0o077 for path in files} == {0}
    assert audit.verify(tmp_path)[1] is None
    AuditLog(tmp_path).record("decision", {"number": 1})
    assert audit.verify(tmp_path)[1] is None
    kept = files[2].read_text()
    files[2].unlink()
    assert audit.verify(tmp_path)[1] is not None
    files[2].write_text(kept.replace('"number":', '"number":1', 1))
    assert audit.verify(tmp_path)[1] is not None
    files[2].write_text(kept)
    files[0].unlink()  # as when the power goes out between the two files
    log = AuditLog(tmp_path)
    log.record("decision", {"number": 2})
    assert files[0].read_text().count("\n") == 2
    assert audit.verify(tmp_path)[1] is None


def test_only_the_end_of_the_local_record_is_read_at_start(tmp_path, monkeypatch):
    log = AuditLog(tmp_path)
    for number in range(300):
        log.record("decision", {"number": number})
    path = tmp_path / audit.AUDIT_FILE
    with path.open("a") as file:
        file.write("x" * 3000)
    lengths: list[int] = []
    tail = audit._tail

    def measured(path, length):
        lengths.append(length)
        return tail(path, length)

    monkeypatch.setattr(audit, "TAIL", 1000)
    monkeypatch.setattr(audit, "_tail", measured)
    last = path.read_text().splitlines()[-2]
    AuditLog(tmp_path).record("decision", {})
    assert lengths == [1000, 4000]
    assert json.loads(path.read_text().splitlines()[-1])["previous"] == json.loads(last)["hash"]


def test_the_local_record_shows_any_change(tmp_path):
    log = AuditLog(tmp_path)
    for number in range(5):
        log.record("decision", {"number": number})
    assert audit.verify(tmp_path) == (5, None)
    AuditLog(tmp_path).record("decision", {"number": 5})
    assert audit.verify(tmp_path) == (6, None)
    path = tmp_path / audit.AUDIT_FILE
    lines = path.read_text().splitlines(keepends=True)
    for broken in (lines[:2] + lines[3:], [*lines[:3], lines[3].replace("3", "4"), *lines[4:]], [*lines[:2], "x\n"]):
        path.write_text("".join(broken))
        assert audit.verify(tmp_path)[1] is not None
    path.write_text("".join(lines) + '{"cut": ')
    AuditLog(tmp_path).record("decision", {"number": 6})
    assert path.read_text().count("\n") == 8


def test_every_command_has_its_help():
    names = set(cli.COMMANDS)
    text = cli.parser().format_help()
    assert all(name in text for name in names)
    with pytest.raises(SystemExit):
        cli.parser().parse_args([])


# -- the package by itself ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(AGENT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_agent_alone(wheel):
    assert wheel.name == f"compagnon_agent-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(f"compagnon_agent-{__version__}.dist-info/METADATA").decode()
    assert {name.split("/")[0] for name in names} == {"compagnon_agent", f"compagnon_agent-{__version__}.dist-info"}
    assert "compagnon_agent/checks/__main__.py" in names
    needs = {
        line.split()[1].split(">")[0]
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist") and "extra ==" not in line
    }
    assert needs == {"cryptography", "psutil", "websockets"}


def test_the_installed_agent_runs_where_there_is_no_server(wheel, tmp_path):
    """Unpacked from the wheel, with the server's packages (and its other dependencies) made impossible to import."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        "import sys\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        banned = {'compagnon', 'kb', 'procedures', 'remote', 'tickets', 'litestar', 'psycopg', 'jinja2',\n"
        "                  'yaml', 'uvicorn', 'numpy', 'whoosh', 'ptyprocess', 'paramiko'}\n"
        "        if name.split('.')[0] in banned:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import pkgutil, importlib, compagnon_agent\n"
        f"assert compagnon_agent.__file__.startswith({str(tmp_path)!r})\n"
        "for module in pkgutil.walk_packages(compagnon_agent.__path__, 'compagnon_agent.'):\n"
        "    if not module.name.endswith(('__main__', '.dialog')) and '.screen.' not in module.name:\n"
        "        importlib.import_module(module.name)\n"
        "from compagnon_agent.cli import main\n"
        "main(['--version'])\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"compagnon-agent {__version__}\n"), done.stderr


def test_the_protocol_needs_nothing_but_the_standard_library():
    program = (
        "import sys\n"
        "from compagnon_agent.protocol import messages, stream, frames, manifest, checks, signing\n"
        "bad = {'asyncio', 'socket', 'websockets', 'psutil', 'cryptography'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_folder_names_do_not_shadow_the_standard_library():
    with contextlib.chdir(AGENT.parent):
        done = subprocess.run([sys.executable, "-c", "import platform; platform.system()"], timeout=60)
    assert done.returncode == 0

"""What ``compagnon up`` says when it cannot start: one sentence on stderr, exit status 1, nothing left behind."""

import shutil
import socket
import tempfile
from pathlib import Path

import psycopg
import pytest
from up_parts import Up, as_url, new_up, ordinary_user

from compagnon.db.embedded import EmbeddedPostgres

SOMEWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def up():
    with new_up() as made:
        yield made


def with_(up: Up, **environ: str) -> Up:
    up.environ = {f"COMPAGNON_{name.upper()}": value for name, value in environ.items()}
    return up


def test_a_taken_port(up):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", up.port))
        taken.listen()
        sentence = up.refused()
    assert f"Port {up.port} on 127.0.0.1 cannot be used (address already in use)" in sentence
    assert "COMPAGNON_PORT" in sentence
    assert not up.left()


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_an_address_that_is_not_ours(up, host):
    assert "choose another with COMPAGNON_HOST" in with_(up, host=host).refused()


def test_a_data_folder_that_is_a_file(up):
    up.data.write_text("")
    assert "COMPAGNON_DATA_DIR" in (sentence := up.refused())
    assert "is not a folder" in sentence


def test_a_data_folder_that_cannot_be(up):
    assert "cannot be used" in with_(up, data_dir="/proc/compagnon").refused()


@pytest.mark.parametrize("secret_key", ["", "k" * 40])
def test_a_data_folder_that_cannot_be_written(secret_key):
    """Also where nothing would need to be written yet, because the secret is given."""
    with ordinary_user() as up:
        up.data.mkdir(mode=0o755)
        up.environ = {**up.environ, "COMPAGNON_SECRET_KEY": secret_key}
        assert "cannot be used (permission denied)" in up.refused()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (SOMEWHERE, "127.0.0.1:1/none cannot be used: Connection refused"),
        ("postgresql://x@no-such-host.invalid/none", "failed to resolve host"),
    ],
)
def test_a_database_that_is_not_there(up, url, reason):
    assert reason in with_(up, database_url=url).refused()
    assert "PostgreSQL is ready" not in up.out


@pytest.mark.parametrize("url", ["mysql://x:hidden@host/db", "postgresql://x:hidden@[host/db", "postgresql"])
def test_a_database_address_that_is_none_is_named_without_its_password(up, url):
    sentence = with_(up, database_url=url).refused()
    assert "COMPAGNON_DATABASE_URL: expected an address such as postgresql://user@host/name" in sentence
    assert "hidden" not in sentence


def test_a_database_that_does_not_exist(up, postgres):
    url = psycopg.conninfo.make_conninfo(postgres, dbname="nowhere")
    sentence = with_(up, database_url=as_url(url)).refused()
    assert 'database "nowhere" does not exist' in sentence


def test_a_role_that_does_not_exist(up, postgres):
    url = psycopg.conninfo.make_conninfo(postgres, user="stranger")
    assert 'role "stranger" does not exist' in with_(up, database_url=as_url(url)).refused()


def test_a_wrong_password(up):
    """On a server that asks for one: the one of the other tests trusts whoever reaches its socket."""
    folder = Path(tempfile.mkdtemp(prefix="compagnon-pg-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder / "pg")
    try:
        server.start()
        with psycopg.connect(server.url, autocommit=True) as conn:
            conn.execute("ALTER ROLE compagnon PASSWORD 'right'")
            (folder / "pg/pg_hba.conf").write_text("local all all scram-sha-256\n")
            conn.execute("SELECT pg_reload_conf()")
            url = server.url.replace("compagnon@", "compagnon:wrong@")
            sentence = with_(up, database_url=url).refused()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    assert 'password authentication failed for user "compagnon"' in sentence
    assert "wrong" not in sentence


def test_an_unknown_setting(up):
    assert "COMPAGNON_PROT is not a setting of Compagnon" in with_(up, prot="80").refused()


@pytest.mark.parametrize("value", ["99999", "80x", "-1"])
def test_a_bad_value(up, value):
    assert f"COMPAGNON_PORT='{value}': expected a whole number from 0 to 65535" in with_(up, port=value).refused()


@pytest.mark.parametrize("name", ["config", "database_url_file"])
def test_a_file_that_is_not_there(up, name):
    sentence = with_(up, **{name: "/nowhere"}).refused()
    assert f"COMPAGNON_{name.upper()}='/nowhere': cannot be read (no such file or directory)" in sentence


def test_a_damaged_secret(up):
    up.data.mkdir()
    (up.data / "secret_key").write_text("")
    assert "secret_key is damaged" in up.refused()


def test_the_agents_settings_are_not_the_servers(up):
    """The refusal is about the database: the agent's name was passed over."""
    assert "127.0.0.1:1" in with_(up, agent_dir="/somewhere", database_url=SOMEWHERE).refused()

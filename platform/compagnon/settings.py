"""The settings of a server: one frozen object, read from the environment and an optional file.

Order: ``COMPAGNON_*`` in the environment, then the file named by ``COMPAGNON_CONFIG`` (TOML, keys in lower case without
the prefix), then the default. ``COMPAGNON_<NAME>_FILE`` reads the value from a file, for secrets handed over by systemd
credentials or a container. Unknown names and bad values are refused by name.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

PREFIX = "COMPAGNON_"
# Read by the tests, the benches and the agent, never by the server.
FOREIGN = frozenset({"CORPORA", "PEERS", "RELEVANCE", "TEST_DATABASE_URL", "CHROMIUM", "CONFIG", "BROWSER_REQUIRED"})
FOREIGN_PREFIXES = ("AGENT_", "BENCH_", "STUDIO_")
SECRET = frozenset({"database_url", "secret_key"})  # never repeated in a message
SHORTEST_SECRET = 32  # characters


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what is accepted."""


def _text(raw: str) -> str:
    return raw


def _optional(raw: str) -> str | None:
    return raw or None


def _boolean(raw: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if raw.lower() not in known:
        raise ValueError("expected yes or no")
    return known[raw.lower()]


def _integer(low: int, high: int) -> Callable[[str], int]:
    def read(raw: str) -> int:
        if not raw.lstrip("-").isdecimal() or not low <= int(raw) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return int(raw)

    return read


def _choice(*known: str) -> Callable[[str], str]:
    def read(raw: str) -> str:
        if raw not in known:
            raise ValueError(f"expected one of {', '.join(known)}")
        return raw

    return read


def _folder(raw: str) -> Path:
    return Path(raw).expanduser().resolve()


def _url(raw: str) -> str:
    parts = urlsplit(raw)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path not in {"", "/"}:
        raise ValueError("expected an address such as https://compagnon.example.org")
    return f"{parts.scheme}://{parts.netloc}"


def _networks(raw: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(part.strip())) for part in raw.split(",") if part.strip())
    except ValueError:
        raise ValueError("expected networks such as 10.0.0.0/8, separated by commas") from None


def _database(raw: str) -> str | None:
    if not raw:
        return None
    try:
        if raw.startswith(("postgresql://", "postgres://")) and psycopg.conninfo.conninfo_to_dict(raw):
            return raw
    except psycopg.Error:
        pass  # its message repeats the address, password and all
    raise ValueError("expected an address such as postgresql://user@host/name")


def _setting(default: object, read: Callable[[str], Any], doc: str, *, shown: str | None = None) -> Any:  # noqa: ANN401
    return field(default=default, metadata={"read": read, "doc": doc, "shown": shown})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a server. Each field's ``metadata["doc"]`` is its line in ``docs/reference/settings.md``."""

    data_dir: Path = _setting(Path("data").resolve(), _folder, "Folder of everything the server keeps.", shown="./data")
    database_url: str | None = _setting(
        None, _database, "PostgreSQL to use. Empty: an embedded one in the data folder."
    )
    database_pool: int = _setting(10, _integer(2, 200), "Most connections to PostgreSQL of one server process.")
    host: str = _setting("127.0.0.1", _text, "Address to listen on.")
    port: int = _setting(8800, _integer(0, 65535), "Port to listen on (0: any free one).")
    public_url: str = _setting(
        "",
        _url,
        "Address that members and agents use; https turns secure cookies and HSTS on.",
        shown="http://127.0.0.1:<port>",
    )
    secret_key: str = _setting(
        "", _text, "Signs cookies and tokens, 32 characters or more. Empty: made and kept in the data folder."
    )
    cooperative: str = _setting(
        "Compagnon", _text, "Name of the co-operative, shown to members and in consent dialogs."
    )
    default_locale: str = _setting("fr", _choice("fr", "en"), "Language where neither member nor browser says one.")
    session_idle_minutes: int = _setting(
        12 * 60, _integer(5, 60 * 24 * 30), "A member is signed out after this long without a request."
    )
    session_hours: int = _setting(24 * 7, _integer(1, 24 * 90), "A member is signed out after this long in any case.")
    escalation_minutes: int = _setting(
        5, _integer(1, 24 * 60), "An unanswered call for an expert widens after this long."
    )
    check_minutes: int = _setting(30, _integer(1, 24 * 60), "A machine is compared with its environment this often.")
    consent_seconds: int = _setting(120, _integer(10, 3600), "How long the person at the machine has to answer.")
    recording_days: int = _setting(
        0,
        _integer(0, 3650),
        "Recordings are erased so many days after their end, unless the client's page says else (0: never).",
    )
    ssh_networks: tuple[str, ...] = _setting(
        (),
        _networks,
        "Networks of this machine itself (loopback, link-local) that devices over SSH may be in, separated by commas.",
        shown="none",
    )
    forwarded_allow_ips: str = _setting(
        "127.0.0.1", _text, "Proxies whose X-Forwarded-* headers are believed, separated by commas."
    )
    search_engine: str = _setting(
        "whoosh",
        _choice("whoosh", "tantivy"),
        "What keeps the index of the library: whoosh, or tantivy for very large ones (needs `compagnon[tantivy]`).",
    )
    rerank_model: Path | None = _setting(
        None,
        _folder,
        "Folder of a static embedding model (`tokenizer.json`, `model.safetensors`) that ranks the best results anew.",
        shown="none",
    )
    embedded_worker: bool = _setting(True, _boolean, "Run background jobs inside the server process.")
    log_level: str = _setting("info", _choice("debug", "info", "warning", "error"), "Least level that is logged.")

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
        """Read the settings. ``overrides`` (tests, command-line options) win over everything.

        Raises SettingsError: an unknown name, a bad value, an unreadable file.
        """
        environ = os.environ if environ is None else environ
        raw = {**_from_file(environ), **_from_environment(environ)}
        known = {item.name: item for item in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in raw.items():
            if name not in known:
                raise SettingsError(
                    f"{PREFIX}{name.upper()} is not a setting of Compagnon (see docs/reference/settings.md)"
                )
            try:
                values[name] = known[name].metadata["read"](text)
            except ValueError as error:
                value = "" if name in SECRET else f"={text!r}"
                raise SettingsError(f"{PREFIX}{name.upper()}{value}: {error}") from None
        return cls(**{**values, **overrides})

    def __post_init__(self) -> None:
        if self.secret_key and len(self.secret_key) < SHORTEST_SECRET:
            raise SettingsError(f"{PREFIX}SECRET_KEY: expected {SHORTEST_SECRET} characters or more")
        if not self.public_url:
            object.__setattr__(self, "public_url", f"http://{self.host}:{self.port}")

    @property
    def secure(self) -> bool:
        """Whether people reach the server over TLS: cookies are then Secure and HSTS is sent."""
        return self.public_url.startswith("https://")


def prepare_data_dir(settings: Settings) -> Settings:
    """Make the data folder (0711: the embedded database's own user passes) and a secret key when none is set.

    Raises SettingsError when the folder cannot be used.
    """
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        _try_to_write(folder)
        secret = settings.secret_key or _kept_secret(folder / "secret_key")
    except FileExistsError:
        raise SettingsError(f"{PREFIX}DATA_DIR: {folder} is not a folder") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"{PREFIX}DATA_DIR: {folder} cannot be used ({reason})") from None
    return _replace(settings, secret_key=secret)


def _try_to_write(folder: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=".try-", dir=folder)
    os.close(handle)
    Path(name).unlink()


def _kept_secret(path: Path) -> str:
    """The secret kept in this file, made at the first start: whole or not at all, whenever the process is killed."""
    if not path.exists():
        handle, name = tempfile.mkstemp(prefix=".secret-", dir=path.parent)  # 0600
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(handle)
        with contextlib.suppress(FileExistsError):  # another process was faster: its secret holds
            os.link(name, path)
        Path(name).unlink()
    secret = path.read_text().strip()
    if len(secret) < SHORTEST_SECRET:
        raise SettingsError(f"{path} is damaged: restore it, or delete it (members then sign in again)")
    return secret


def _replace(settings: Settings, **changes: object) -> Settings:
    from dataclasses import replace

    return replace(settings, **changes)  # type: ignore[arg-type]


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in environ.items():
        short = name.removeprefix(PREFIX)
        if short == name or short in FOREIGN or short.startswith(FOREIGN_PREFIXES):
            continue
        if short.endswith("_FILE"):
            found[short.removesuffix("_FILE").lower()] = _secret_file(name, text)
        else:
            found[short.lower()] = text
    return found


def _secret_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}={path!r}: cannot be read ({_why(error)})") from None


def _why(error: Exception) -> str:
    """The reason alone: the message names the file already."""
    return ((error.strerror if isinstance(error, OSError) else None) or str(error)).lower()


def _from_file(environ: Mapping[str, str]) -> dict[str, str]:
    path = environ.get(f"{PREFIX}CONFIG")
    if not path:
        return {}
    try:
        table = tomllib.loads(Path(path).read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{PREFIX}CONFIG={path!r}: cannot be read ({_why(error)})") from None
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in table.items()}

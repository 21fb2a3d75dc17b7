"""Settings: order of sources, refusals by name, secrets from files."""

from pathlib import Path

import pytest

from compagnon.settings import Settings, SettingsError, prepare_data_dir


def test_defaults_need_nothing() -> None:
    settings = Settings.load({})
    assert settings.public_url == "http://127.0.0.1:8800"
    assert not settings.secure


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "compagnon.toml"
    file.write_text('port = 9000\ncooperative = "Les Compagnons"\n')
    settings = Settings.load({"COMPAGNON_CONFIG": str(file), "COMPAGNON_PORT": "9001"})
    assert (settings.port, settings.cooperative) == (9001, "Les Compagnons")


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://db/compagnon\n")
    settings = Settings.load({"COMPAGNON_DATABASE_URL_FILE": str(tmp_path / "url")})
    assert settings.database_url == "postgresql://db/compagnon"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTT", "1"),
        ("PORT", "many"),
        ("PORT", "70000"),
        ("DATABASE_URL", "mysql://x"),
        ("PUBLIC_URL", "compagnon"),
        ("DEFAULT_LOCALE", "de"),
        ("EMBEDDED_WORKER", "perhaps"),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY_FILE", "/nowhere"),
    ],
)
def test_a_bad_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"COMPAGNON_{name.removesuffix('_FILE')}"):
        Settings.load({f"COMPAGNON_{name}": value})


def test_the_secret_key_is_made_once_and_private(tmp_path: Path) -> None:
    first = prepare_data_dir(Settings.load({}, data_dir=tmp_path / "data"))
    again = prepare_data_dir(Settings.load({}, data_dir=tmp_path / "data"))
    assert first.secret_key == again.secret_key
    assert len(first.secret_key) >= 32
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="COMPAGNON_DATA_DIR"):
        prepare_data_dir(Settings.load({}, data_dir=tmp_path / "file" / "data"))

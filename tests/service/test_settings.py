"""Flags win over the environment, which wins over defaults; what cannot be used is refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.settings import ENVIRONMENT, Settings, SettingsError


def test_defaults_live_under_home(tmp_path: Path) -> None:
    settings = Settings.read({"home": tmp_path}, {})
    assert (settings.host, settings.port, settings.no_auth, settings.ray) == ("127.0.0.1", 8765, False, None)
    assert settings.database == f"sqlite:///{tmp_path}/peftsearch.db"
    assert settings.artifacts == str(tmp_path / "artifacts")
    assert settings.token_file == tmp_path / "token"
    assert settings.data_roots == (Path.cwd().resolve(),)


def test_flags_win_over_environment(tmp_path: Path) -> None:
    environment = {"PEFTSEARCH_HOME": str(tmp_path / "a"), "PEFTSEARCH_PORT": "9000", "PEFTSEARCH_HOST": "localhost"}
    settings = Settings.read({"port": 9001, "host": None}, environment)
    assert (settings.port, settings.host, settings.home) == (9001, "localhost", tmp_path / "a")


def test_several_data_roots(tmp_path: Path) -> None:
    roots = [tmp_path / "a", tmp_path / "b"]
    for root in roots:
        root.mkdir()
    settings = Settings.read({}, {"PEFTSEARCH_DATA_ROOTS": os.pathsep.join(map(str, roots))})
    assert settings.data_roots == tuple(roots)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"port": "eighty"}, ["port", "PEFTSEARCH_PORT", "eighty"]),
        ({"port": 70000}, ["port", "70000", "65535"]),
        ({"host": "0.0.0.0", "no_auth": True}, ["no_auth", "0.0.0.0", "127.0.0.1"]),
        ({"data_roots": ["/no/such/folder"]}, ["data_roots", "/no/such/folder", "not a folder"]),
    ],
)
def test_refusals_name_the_setting(tmp_path: Path, flags: dict[str, object], words: list[str]) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.read({"home": tmp_path} | flags, {})
    for word in words:
        assert word in str(refusal.value)


def test_a_child_process_reads_the_same_settings(tmp_path: Path) -> None:
    settings = Settings.read({"home": tmp_path, "port": 1234, "no_auth": True, "data_roots": [tmp_path]}, {})
    assert Settings.read({}, settings.as_environment()) == settings


def test_every_setting_has_a_variable() -> None:
    assert set(ENVIRONMENT) == set(Settings.model_fields)


def test_url_is_one_a_browser_can_open(tmp_path: Path) -> None:
    assert Settings.read({"home": tmp_path, "host": "0.0.0.0", "port": 1}, {}).url == "http://127.0.0.1:1"
    assert Settings.read({"home": tmp_path, "host": "::1", "port": 1}, {}).url == "http://[::1]:1"

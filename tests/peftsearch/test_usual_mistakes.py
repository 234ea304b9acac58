"""`doctor` finds the usual mistakes, by name, and nothing where there are none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from peftsearch.cli.usual_mistakes import VARIABLES, clock, secrets, settings
from service.settings import ENVIRONMENT

NOW = datetime(2026, 11, 28, 1, 2, 3, tzinfo=UTC)


def test_the_variables_are_those_of_the_service_and_the_client() -> None:
    assert {*ENVIRONMENT.values(), "PEFTSEARCH_URL", "PEFTSEARCH_TOKEN"} == VARIABLES


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"PEFTSEARCH_DATBASE": "x"}, "PEFTSEARCH_DATBASE means nothing"),
        ({"PEFTSEARCH_DATABASE": "mysql://u:s3cret@h/d"}, "found 'mysql'"),
        ({"PEFTSEARCH_DATABASE": "/var/db"}, "found 'no scheme'"),
        ({"PEFTSEARCH_RAY": "ray://head:10001"}, "through a Ray client"),
        ({"PEFTSEARCH_DATA_ROOTS": "/nowhere/at/all"}, "/nowhere/at/all is not a folder"),
        ({"PEFTSEARCH_URL": "http://box:8765", "PEFTSEARCH_TOKEN": "pfs_x"}, "to box unencrypted"),
    ],
)
def test_each_mistake_is_named(environment: dict[str, str], told: str) -> None:
    (found,) = settings(environment)
    assert found.ok is not True
    assert told in found.detail
    assert "s3cret" not in found.detail


def test_a_sound_environment_is_passed_over(tmp_path: Path) -> None:
    sound = {
        "PEFTSEARCH_DATABASE": "postgresql+psycopg://u:p@h/d",
        "PEFTSEARCH_RAY": "head:6379",
        "PEFTSEARCH_DATA_ROOTS": str(tmp_path),
        "PEFTSEARCH_URL": "http://127.0.0.1:8765",
        "PEFTSEARCH_TOKEN": "pfs_x",
        "PATH": "/bin",
    }
    assert list(settings(sound)) == []


def test_secrets_that_others_may_read_are_told(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("pfs_x")
    token.chmod(0o644)
    (found,) = secrets(tmp_path)
    assert (found.ok, "mode 644" in found.detail) == (False, True)
    token.chmod(0o600)
    assert list(secrets(tmp_path)) == []


def test_clocks_that_disagree_are_told() -> None:
    for date, ok in (("Sat, 28 Nov 2026 01:02:05 GMT", True), ("Sat, 28 Nov 2026 01:12:03 GMT", False)):
        found = clock(date, NOW)
        assert found is not None
        assert found.ok is ok
    assert clock(None) is None
    assert clock("yesterday") is None


def test_doctor_says_so(run: Callable[..., Any], url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert url
    monkeypatch.setenv("PEFTSEARCH_RAY", "ray://head:10001")
    found = {one["what"]: one for one in run("doctor", "--json").json}
    assert found["PEFTSEARCH_RAY"]["ok"] is False
    assert found["clocks"]["ok"] is True
    assert run("doctor").code == 1

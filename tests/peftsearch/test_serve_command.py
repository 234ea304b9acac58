"""`peftsearch serve` hands its flags to the service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from peftsearch import Client
from tests.patience import PATIENCE_S


def _serve(*flags: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PEFTSEARCH_")}
    return subprocess.Popen(
        [sys.executable, "-m", "peftsearch", "serve", *flags],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_service_starts_with_the_flags_given(tmp_path: Path) -> None:
    flags = ["--port", "0", "--home", str(tmp_path / "home"), "--data-root", str(tmp_path), "--only", "api"]
    process = _serve(*flags, "--artifacts", str(tmp_path / "kept"))
    try:
        assert process.stdout is not None
        address = next(line.split()[-1] for line in process.stdout if "http://" in line)
        assert "token" not in address, "whoever reads a log must not find it there"
        url, token = address.rstrip("/"), (tmp_path / "home" / "token").read_text().strip()
        with Client(url, token) as client:
            assert client.health(ready=True)["status"] == "ready"
            assert client.jobs() == ()
        assert (tmp_path / "home" / "token").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "kept").is_dir()
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


@pytest.mark.slow
def test_settings_that_cannot_be_used_exit_with_2(tmp_path: Path) -> None:
    process = _serve("--home", str(tmp_path), "--host", "0.0.0.0", "--no-auth")
    _, printed = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "no_auth" in printed

"""The command line and the client against a running server."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from peftsearch import Client
from peftsearch.cli import main, output


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def url(served: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a running server that asks for no token; the environment says where it is."""
    address = str(served.base_url).rstrip("/")
    monkeypatch.setenv("PEFTSEARCH_URL", address)
    monkeypatch.setenv("PEFTSEARCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PEFTSEARCH_TOKEN", raising=False)
    return address


@pytest.fixture
def client(url: str) -> Any:
    """A client of that server."""
    with Client(url) as connected:
        yield connected


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process."""
    monkeypatch.setenv("COLUMNS", "200")  # for usage errors, whose console is made when they are
    for console in (output.console, output.messages):
        monkeypatch.setattr(console, "width", 200)

    def run_command(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["peftsearch", *arguments])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run_command


@pytest.fixture
def job_file(spec: dict[str, Any], data_root: Path) -> Path:
    """The sound JobSpec as a file beside its data."""
    import yaml

    file = data_root / "job.yaml"
    file.write_text(yaml.safe_dump(spec))
    return file

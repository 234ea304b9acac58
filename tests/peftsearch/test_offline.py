"""Questions that need nothing stored are answered where no server runs."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from peftsearch.cli import options


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No server is named, and at the default address nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(options, "DEFAULT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setattr("peftsearch.connection.DEFAULT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("PEFTSEARCH_URL", raising=False)
    monkeypatch.setenv("PEFTSEARCH_HOME", str(tmp_path / "home"))


@pytest.mark.slow
def test_laws_and_catalogues_answer(run: Any, tmp_path: Path) -> None:
    rate = run("predict", "lora-lr", "--hidden-size", "4096", "--family", "llama", "--json")
    assert rate.code == 0, rate.err
    assert rate.json["learning_rate"] == pytest.approx(2.86e-4, rel=1e-2)
    assert "no server is running" in rate.err
    assert {"lora", "ia3"} <= {entry["name"] for entry in run("methods", "--json").json}
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_a_refusal_is_that_of_a_server(run: Any) -> None:
    refused = run("predict", "step-law", "--params", "-1", "--tokens", "2e10")
    assert refused.code == 2
    assert "parameters" in refused.err


@pytest.mark.parametrize(
    "command",
    [
        ("jobs",),
        ("predict", "law", "mine", "--params", "1e4", "--tokens", "1e4"),
        ("predict", "step-law", "--law", "mine", "--params", "1e4", "--tokens", "1e4"),
        ("methods", "--url", "http://127.0.0.1:1"),
    ],
)
def test_what_is_stored_or_asked_of_a_named_server_needs_that_server(run: Any, command: tuple[str, ...]) -> None:
    done = run(*command)
    assert done.code != 0
    assert "no peftsearch server answers" in done.err

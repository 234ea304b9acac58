"""`peftsearch upload`: a file of this machine becomes data of jobs, through the command line and both clients."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from peftsearch import AsyncClient

pytestmark = pytest.mark.usefixtures("url")
ROWS = "text,label\n" + "".join(f"sentence {number},{number % 2}\n" for number in range(40))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file that no data root holds."""
    file = tmp_path / "mine.csv"
    file.write_text(ROWS)
    return file


def test_what_was_sent_is_named_in_a_job_file(run: Any, data: Path, job_file: Path, client: Any) -> None:
    path = run("upload", str(data)).out.strip()
    assert path.endswith("/mine.csv")
    spec = yaml.safe_load(job_file.read_text())
    job_file.write_text(yaml.safe_dump(spec | {"task": spec["task"] | {"train": path}}))
    done = run("submit", str(job_file), "--json")
    assert done.code == 0, done.err
    assert Path(client.job(done.json["id"]).spec["task"]["train"]).read_text() == ROWS
    assert run("upload", str(data), "--json").json["bytes"] == len(ROWS)


def test_both_clients_send_the_same_and_a_large_file_in_pieces(
    data: Path, client: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peftsearch.sent_file.PIECE", 64)
    sent = client.upload(data)

    async def again() -> Any:
        async with AsyncClient(url) as twin:
            return await twin.upload(data)

    assert asyncio.run(again()) == sent


def test_what_cannot_be_sent_is_said(run: Any, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("x = 1")
    refused = run("upload", str(tmp_path / "code.py"))
    assert (refused.code, "code.py" in refused.err) == (2, True)
    missing = run("upload", str(tmp_path / "none.csv"))
    assert (missing.code, "none.csv" in missing.err) == (2, True)

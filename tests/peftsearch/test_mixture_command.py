"""`peftsearch mixture fit` against a running server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("url")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A CSV of two domains, best at 70 % web."""
    file = tmp_path / "runs.csv"
    lines = [f"{w / 19},{1 - w / 19},{2 + (w / 19 - 0.7) ** 2}" for w in range(20)]
    file.write_text("\n".join(["web,code,val", *lines]))
    return file


@pytest.mark.slow
def test_fit_reads_csv_and_json(run: Any, table: Path, tmp_path: Path) -> None:
    done = run("mixture", "fit", str(table), "--loss", "val", "--json")
    assert done.code == 0, done.err
    assert done.json["weights"]["web"] == pytest.approx(0.7, abs=0.06)
    printed = run("mixture", "fit", str(table), "--loss", "val")
    assert "web" in printed.out
    assert "predicted loss" in printed.err
    rows = [{"weights": {"web": 0.5, "code": 0.6}, "losses": {"val": 2.0}}] * 9
    (tmp_path / "bad.json").write_text(json.dumps({"rows": rows}))
    refused = run("mixture", "fit", str(tmp_path / "bad.json"))
    assert refused.code == 2
    assert "sum to one" in refused.err


def test_files_that_cannot_be_read_exit_with_2(run: Any, table: Path) -> None:
    assert run("mixture", "fit", "nowhere.csv").code == 2
    missing = run("mixture", "fit", str(table))
    assert missing.code == 2
    assert "loss" in missing.err

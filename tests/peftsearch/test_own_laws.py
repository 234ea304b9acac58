"""Laws of your own, and what a mixture job has learnt, on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.store.records import NewTrial
from service.store.store import Store
from workers.assignment import Outcome

pytestmark = pytest.mark.usefixtures("url")


@pytest.fixture
def rows() -> list[dict[str, float]]:
    """Runs of four sizes around learning rate 1e-3 and batch 16."""
    found = []
    for parameters, tokens in ((1e5, 1e6), (4e5, 1e6), (1e5, 4e6), (4e5, 4e6)):
        for rate in np.linspace(-1, 1, 5):
            for batch in np.linspace(-1, 1, 5):
                sizes = {"parameters": parameters, "tokens": tokens}
                setting = {"learning_rate": 1e-3 * float(np.exp(rate)), "batch": 16 * float(np.exp(batch))}
                found.append({**sizes, **setting, "loss": 2 * float(np.exp(0.02 * rate**2 + 0.01 * batch**2))})
    return found


def written(rows: list[dict[str, float]], file: Path) -> str:
    """The rows as a file of the kind that its name asks for, with a column that nobody asks for."""
    table = [row | {"note": 1.0} for row in rows]
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(table), file)
    elif file.suffix == ".jsonl":
        file.write_text("\n".join(map(json.dumps, table)))
    else:
        with file.open("w", newline="") as target:
            writer = csv.DictWriter(target, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    return str(file)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["runs.csv", "runs.parquet", "runs.jsonl"])
def test_a_law_is_fitted_from_a_table(run: Any, rows: list[dict[str, float]], tmp_path: Path, name: str) -> None:
    file = written(rows, tmp_path / name)
    done = run("predict", "fit-law", file, "--params", "2e5", "--tokens", "2e6", "--json")
    assert done.code == 0, done.err
    assert done.json["prediction"]["learning_rate"] == pytest.approx(1e-3, rel=0.02)
    assert done.json["best"]["batch"] == pytest.approx(16, rel=0.1)
    assert done.json["stored"] is None


@pytest.mark.slow
def test_a_kept_law_answers_later(run: Any, rows: list[dict[str, float]], tmp_path: Path) -> None:
    assert "no laws yet" in run("predict", "laws").out
    kept = run("predict", "fit-law", written(rows, tmp_path / "runs.csv"), "--name", "mine", "--batch-unit", "tokens")
    assert kept.code == 0, kept.err
    assert "mine version 1" in kept.err
    assert "mine" in run("predict", "laws").out
    told = run("predict", "law", "mine", "--params", "2e5", "--tokens", "2e6", "--json").json
    assert told["learning_rate"] == pytest.approx(1e-3, rel=0.02)
    instead = run("predict", "step-law", "--params", "2e5", "--tokens", "2e6", "--json").json
    assert instead["standing"] == "fitted"
    assert "'mine'" in instead["source"]
    paper = run("predict", "step-law", "--params", "2e5", "--tokens", "2e6", "--law", "published", "--json").json
    assert paper["standing"] == "published"
    assert run("predict", "law", "yours", "--params", "2e5", "--tokens", "2e6").code == 2


@pytest.mark.slow
def test_tables_without_a_column_or_with_two_rows_exit_with_2(run: Any, rows: Any, tmp_path: Path) -> None:
    lacking = [{name: value for name, value in row.items() if name != "loss"} for row in rows]
    done = run("predict", "fit-law", written(lacking, tmp_path / "a.csv"))
    assert done.code == 2
    assert "no column loss" in done.err
    assert run("predict", "fit-law", written(rows[:2], tmp_path / "b.csv")).code == 2
    (tmp_path / "c.parquet").write_bytes(b"no parquet")
    assert run("predict", "fit-law", str(tmp_path / "c.parquet")).code == 2
    assert run("predict", "fit-law", "nowhere.csv").code == 2


@pytest.mark.slow
def test_the_loss_of_any_mixture_is_printed(run: Any, store: Store) -> None:
    spec = {"name": "text", "kind": "mixture", "corpus": {"domains": {"web": "/data/web", "code": "/data/code"}}}
    job = store.create_job("text", {**spec, "objectives": [{"metric": "loss", "direction": "minimize"}]})
    store.lease_job("conductor", 600)
    for code in (0.0, 0.1, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0):
        (trial,) = store.add_trials(job.id, [NewTrial({"web": 1 - code, "code": code}, "design", 0)])
        store.claim_trial(job.id, "w", 600, trial_id=trial.id)
        metrics = dict.fromkeys(("loss", "loss.web", "loss.code"), 3 - code)
        store.finish_trial(Outcome(trial_id=trial.id, attempt=1, status="completed", metrics=metrics))
    shown = run("mixture", "expect", job.id, "web=0.3,code=0.7", "web=1,code=0")
    assert shown.code == 0, shown.err
    header, better, worse = (line.split() for line in shown.out.splitlines())
    assert header == ["web", "code", "loss", "from", "to"]
    assert better[:2] == ["0.300", "0.700"]
    assert float(better[2]) == pytest.approx(2.3, abs=0.05)
    assert float(worse[2]) > float(better[2])
    for wrong in ("web=0.3,code=0.9", "web=0.3", "web:1"):
        assert run("mixture", "expect", job.id, wrong).code == 2


def test_a_mixture_is_shown_with_its_check(run: Any, store: Store) -> None:
    job = store.create_job("text", {"kind": "mixture", "objectives": []})
    assert run("mixture", "show", job.id).code == 2
    effects = [{"domain": name, "change": 0.01, "low": 0.0, "high": 0.02} for name in ("web", "code")]
    loss = {"loss": 2.0, "low": 1.9, "high": 2.1, "level": 0.9, "best_measured_loss": 2.05, "warnings": []}
    weights = {"web": 0.7, "code": 0.3}
    gain = {"uniform": {"value": 0.05, "low": 0.04, "high": 0.06, "level": 0.9}}
    trust = {"held_out": {"mixtures": 5, "rank_correlation": 0.93}, "check": {"gain": gain}}
    body = {"weights": weights, "best_measured": weights, "effects": effects, **loss, **trust}
    store.add_answer("mixture", "text", body, job.id)
    shown = run("mixture", "show", job.id)
    assert shown.code == 0, shown.err
    assert "0.700" in shown.out
    assert "0.93" in shown.err
    assert "uniform mixture's by 0.0500 (+0.0400 to +0.0600, 90%)" in shown.err
    assert run("mixture", "show", job.id, "--json").json["answer"]["weights"] == weights

"""Jobs of several tasks: files of each are found, problems named by task, metrics of each are goals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from peftsearch.cli.jobfile import read
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from service.store.store import Store


@pytest.fixture
def spec(settings: Settings) -> dict[str, Any]:
    root = Path(settings.data_roots[0])
    words = ["one", "two"]
    rows = [
        {"text": f"sentence {n}", "label": f"k{n % 2}", "size": n, "tokens": words, "tags": ["O", f"B-{n % 2}"]}
        for n in range(60)
    ]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "name": "several",
        "task": {
            "type": "multi-task",
            "model": "builtin:minilm",
            "max_length": 16,
            "test": 0.2,
            "tasks": {
                "kind": {"type": "text-classification", "train": "rows.jsonl"},
                "size": {"type": "text-regression", "train": "rows.jsonl", "label": "size"},
                "names": {"type": "token-classification", "train": "rows.jsonl"},
            },
        },
        "space": {
            "preset": "lora",
            "overrides": {"batch_size": {"value": 8}},
            "parameters": [{"type": "simplex", "name": "task_weights", "parts": ["kind", "size", "names"]}],
        },
        "objectives": [{"metric": "worst", "direction": "maximize"}],
        "constraints": [{"metric": "size.rmse", "max": 100}],
        "confirm": {"seeds": 2},
        "budget": {"trials": 4, "epochs": 1},
        "resources": {"executor": "external"},
    }


def test_a_job_is_admitted_with_the_files_of_each_task_and_its_metrics_are_told(
    api: TestClient, store: Store, spec: dict[str, Any], worker: Any, settings: Settings
) -> None:
    answer = api.post("/v1/jobs", json=spec)
    assert answer.status_code == 201, answer.text
    kept = JobSpec.model_validate(store.get_job(answer.json()["id"]).spec)
    assert JobSpec.model_validate(kept.model_dump(mode="json")) == kept
    place = str(Path(settings.data_roots[0]) / "rows.jsonl")
    assert {part.train for part in kept.task.parts().values()} == {place}  # type: ignore[union-attr]
    worker.start(answer.json()["id"])
    worker.suggest(answer.json()["id"], 1)
    claimed = api.post(f"/v1/jobs/{answer.json()['id']}/ask", json={"worker_id": "w"}).json()
    trial = {name: claimed[name] for name in ("trial_id", "attempt")}
    told = {**trial, "status": "completed", "metrics": {"worst": 0.3, "kind.accuracy": 0.5, "size.rmse": 7.0}}
    assert api.post(f"/v1/trials/{trial['trial_id']}/tell", json=told).status_code == 200
    found = api.post("/v1/checks", json=spec).json()
    assert [(split["name"], split["rows"]) for split in found["splits"]] == [
        (f"{split} of {name}", rows)
        for name in spec["task"]["tasks"]
        for split, rows in (("train", 38), ("validation", 10), ("test", 12))
    ]


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("kind", {"train": "nowhere.jsonl"}, "task.tasks.kind.train"),
        ("size", {"label": "text"}, "task.tasks.size.label"),
        ("names", {"tags": "label"}, "task.tasks.names.tags"),
        ("names", {"train": "../../etc/passwd"}, "task.tasks.names.train"),
    ],
)
def test_problems_are_named_by_the_task(
    api: TestClient, spec: dict[str, Any], name: str, changes: dict[str, Any], field: str
) -> None:
    spec["task"]["tasks"][name] |= changes
    assert field in {one["field"] for one in api.post("/v1/checks", json=spec).json()["problems"]}


def test_goals_of_tasks_that_are_not_there_and_mixtures_of_one_task_are_refused(
    api: TestClient, spec: dict[str, Any]
) -> None:
    wrong = spec | {"objectives": [{"metric": "kinds.accuracy", "direction": "maximize"}]}
    (problem,) = api.post("/v1/checks", json=wrong).json()["problems"]
    assert problem["field"] == "objectives.0.metric"
    assert "kind.accuracy" in problem["message"]
    alone = spec | {"task": {"model": "builtin:minilm", "train": "rows.jsonl", "test": 0.2, "max_length": 16}}
    alone |= {"objectives": [{"metric": "accuracy", "direction": "maximize"}], "constraints": []}
    assert "task_weights" in str(api.post("/v1/checks", json=alone).json()["problems"])


def test_paths_of_each_task_are_beside_the_job_file(tmp_path: Path, spec: dict[str, Any]) -> None:
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(spec))
    parts = read(tmp_path / "job.yaml")["task"]["tasks"]
    assert {part["train"] for part in parts.values()} == {str(tmp_path / "rows.jsonl")}

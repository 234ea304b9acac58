"""Jobs whose rows have domains, and jobs that watch what the base could do: admitted, refused by field, told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs.search.problem import build_problem
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from service.store.store import Store

METRICS = ("worst_domain", "forgetting")


@pytest.fixture
def spec(settings: Settings) -> dict[str, Any]:
    root = Path(settings.data_roots[0])
    places = ("kitchen", "shed", "yard")
    rows = [{"text": f"sentence {n} of it", "label": f"k{n % 2}", "place": places[n % 3]} for n in range(60)]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"model": "builtin:minilm", "train": "rows.jsonl", "domain": "place", "test": "domain:shed"}
    return {
        "name": "domains",
        "task": task | {"max_length": 16, "knowledge": "rows.jsonl"},
        "space": {"preset": "lora", "overrides": {"batch_size": {"value": 8}}},
        "objectives": [{"metric": "worst_domain", "direction": "maximize"}],
        "constraints": [{"metric": "forgetting", "max": 0.02}],
        "confirm": {"seeds": 2},
        "budget": {"trials": 4, "epochs": 1},
        "resources": {"executor": "external"},
    }


def test_they_are_goals_like_others_and_outside_workers_tell_them(
    api: TestClient, store: Store, spec: dict[str, Any], worker: Any, settings: Settings
) -> None:
    answer = api.post("/v1/jobs", json=spec)
    assert answer.status_code == 201, answer.text
    kept = JobSpec.model_validate(store.get_job(answer.json()["id"]).spec)
    assert kept.task.knowledge == str(Path(settings.data_roots[0]) / "rows.jsonl")  # type: ignore[union-attr]
    assert kept.task.test == "domain:shed"  # type: ignore[union-attr]
    problem = build_problem(kept)
    assert problem.stand_ins["forgetting"].metric == "loss"  # which is there while trials train
    assert "worst_domain" not in problem.stand_ins
    worker.start(answer.json()["id"])
    worker.suggest(answer.json()["id"], 1)
    claimed = api.post(f"/v1/jobs/{answer.json()['id']}/ask", json={"worker_id": "w"}).json()
    trial = {name: claimed[name] for name in ("trial_id", "attempt")}
    found = {"accuracy": 0.8, "worst_domain": 0.7, "accuracy_in_yard": 0.7, "accuracy_in_kitchen": 0.9}
    said = {**trial, "step": 1, "epoch": 0.5, "seconds": 1.0}
    told = api.post(f"/v1/trials/{trial['trial_id']}/report", json={**said, "metrics": found})
    assert told.status_code == 200, told.text
    wrong = api.post(f"/v1/trials/{trial['trial_id']}/report", json={**said, "metrics": {"accuracy_in_yard": 7}})
    assert wrong.status_code == 422
    ended = {**trial, "status": "completed", "metrics": found | {"forgetting": 0.01}}
    told = api.post(f"/v1/trials/{trial['trial_id']}/tell", json=ended)
    assert told.status_code == 200, told.text
    assert told.json()["metrics"]["accuracy_in_yard"] == 0.7


def test_the_domain_is_shown_with_the_rows(api: TestClient, spec: dict[str, Any]) -> None:
    found = api.post("/v1/checks", json=spec).json()
    assert found["problems"] == []
    train, _, test = found["splits"]
    assert train["columns"] == ["text", "target", "domain"]
    assert {example[2] for example in test["examples"]} == {"shed"}


@pytest.mark.parametrize(
    ("changes", "field", "word"),
    [
        ({"domain": None}, "task", "without `domain`"),
        ({"domain": "genre"}, "task.train", "no column 'genre'"),
        ({"test": "domain:attic"}, "task.test", "kitchen, shed, yard"),
        ({"knowledge": "nowhere.jsonl"}, "task.knowledge", "nowhere.jsonl"),
        ({"knowledge_text": "said"}, "task.knowledge", "no column 'said'"),
        ({"knowledge": "../../etc"}, "task.knowledge", "data roots"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    api: TestClient, spec: dict[str, Any], changes: dict[str, Any], field: str, word: str
) -> None:
    given = {name: value for name, value in (spec["task"] | changes).items() if value is not None}
    problems = api.post("/v1/checks", json=spec | {"task": given}).json()["problems"]
    assert field in {one["field"] for one in problems}, problems
    assert word in " ".join(one["message"] for one in problems)


@pytest.mark.parametrize(("metric", "option"), [("worst_domain", "domain"), ("forgetting", "knowledge")])
def test_a_goal_that_needs_a_field_names_it(api: TestClient, spec: dict[str, Any], metric: str, option: str) -> None:
    task = {name: value for name, value in spec["task"].items() if name not in ("domain", "knowledge", "test")}
    plain = {name: value for name, value in spec.items() if name not in ("constraints", "confirm")}
    other = plain | {"task": task, "objectives": [{"metric": metric, "direction": "minimize"}]}
    (problem,) = api.post("/v1/checks", json=other).json()["problems"]
    assert problem["field"] == "objectives.0.metric"
    assert f"needs `task.{option}`" in problem["message"]


def test_the_form_offers_them_where_they_can_be_measured(api: TestClient) -> None:
    types = {one["name"]: {f["name"] for f in one["fields"]} for one in api.get("/v1/tasks").json()["items"]}
    metrics = {one["name"]: one["task_types"] for one in api.get("/v1/metrics").json()["items"]}
    for metric, option in zip(METRICS, ("domain", "knowledge"), strict=True):
        assert set(metrics[metric]) == {name for name, fields in types.items() if option in fields}
    assert "multi-task" not in metrics["worst_domain"]

"""What outside workers tell is checked before it is believed: a made-up accuracy would lead the front."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

Spec = dict[str, Any]
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def claimed(api: TestClient, spec: Spec, worker: Any) -> dict[str, Any]:
    """A claimed trial of a job for outside workers: its id and attempt."""
    job_id = api.post("/v1/jobs", json=spec | {"resources": {"executor": "external"}}).json()["id"]
    worker.start(job_id)
    worker.suggest(job_id, 1)
    assignment = api.post(f"/v1/jobs/{job_id}/ask", json={"worker_id": "w"}).json()
    return {name: assignment[name] for name in ("trial_id", "attempt")}


GOOD = {"accuracy": 0.8, "trainable_params": 10}


def _tell(api: TestClient, claimed: dict[str, Any], **values: Any) -> Any:
    body = json.dumps({**claimed, "status": "completed", "metrics": GOOD, **values})
    return api.post(f"/v1/trials/{claimed['trial_id']}/tell", content=body, headers=JSON)


@pytest.mark.parametrize(
    ("values", "field", "word"),
    [
        ({"metrics": {**GOOD, "accuracy": 7.0}}, "metrics.accuracy", "from 0 to 1"),
        ({"metrics": {**GOOD, "accuracy": 1e308}}, "metrics.accuracy", "from 0 to 1"),
        ({"metrics": {**GOOD, "accuracy": -0.1}}, "metrics.accuracy", "from 0 to 1"),
        ({"metrics": {**GOOD, "mcc": -1.1}}, "metrics.mcc", "from -1 to 1"),
        ({"metrics": {**GOOD, "loss": 1e308}}, "metrics.loss", "1e+18"),
        ({"metrics": {**GOOD, "trainable_params": -1}}, "metrics.trainable_params", "from 0"),
        ({"metrics": {**GOOD, "accuracy": float("nan")}}, "metrics.accuracy", "NaN"),
        ({"metrics": {"trainable_params": 10}}, "metrics.accuracy", "nan_loss"),
        ({"metrics": {}}, "metrics.accuracy", "objective"),
        ({"metrics": {**GOOD, "accuracy_at_rank_4": 7.0}}, "metrics.accuracy_at_rank_4", "from 0 to 1"),
        ({"metrics": {**GOOD, "eval_loss": 1.0}}, "metrics.eval_loss", "did you mean 'train_loss'"),
        ({"metrics": {**GOOD, **{f"m{n}": 1.0 for n in range(100_000)}}}, "metrics", "100"),
        ({"adapter": {"sha256": "0" * 64, "size": 5}}, "adapter", "stored"),
        ({"adapter": {"sha256": "../../etc/passwd", "size": 5}}, "adapter.sha256", "0-9a-f"),
        ({"checkpoint": {"sha256": "f" * 64, "size": 5}}, "checkpoint", "stored"),
        ({"reason": "x" * 3_000_000}, "reason", "20000"),
        ({"engine_reason": "x" * 3_000_000}, "engine_reason", "20000"),
        ({"environment": {"torch": "x" * 3_000_000}}, "environment.torch", "1000"),
        ({"environment": {str(n): "" for n in range(1000)}}, "environment", "100"),
        ({"attempt": 2**40}, "attempt", "less"),
    ],
)
def test_what_cannot_be_is_not_believed(
    api: TestClient, claimed: dict[str, Any], values: dict[str, Any], field: str, word: str
) -> None:
    response = _tell(api, claimed, **values)
    assert response.status_code == 422, response.text[:300]
    assert len(response.content) < 50_000
    assert field in {one["field"] for one in response.json()["errors"]}
    assert word in response.text
    assert api.get(f"/v1/trials/{claimed['trial_id']}").json()["state"] == "running"
    assert _tell(api, claimed).json()["state"] == "completed"


def test_a_trial_that_could_not_measure_tells_that_it_failed(api: TestClient, claimed: dict[str, Any]) -> None:
    told = _tell(api, claimed, status="failed", metrics={}, reason="nan_loss: step 3").json()
    assert (told["state"], told["reason"]) == ("failed", "nan_loss: step 3")


def test_a_stored_adapter_is_taken(api: TestClient, claimed: dict[str, Any], artifacts: Any, tmp_path: Any) -> None:
    file = tmp_path / "adapter"
    file.write_bytes(b"weights")
    stored = artifacts.put_file(file).model_dump()
    assert _tell(api, claimed, adapter=stored | {"size": 8}).status_code == 422
    assert _tell(api, claimed, adapter=stored).json()["has_adapter"]


def _report(api: TestClient, claimed: dict[str, Any], step: float, **values: Any) -> Any:
    body = {**claimed, "step": step, "epoch": step / 10, "metrics": {"loss": 1.0}, "seconds": 1.0, **values}
    return api.post(f"/v1/trials/{claimed['trial_id']}/report", content=json.dumps(body), headers=JSON)


def test_learning_curves_run_forwards(api: TestClient, claimed: dict[str, Any]) -> None:
    for step in (1, 5, 5, 1):  # one that is there already is the same report
        assert _report(api, claimed, step).json() == {"decision": "continue"}
    for values, field in (({"step": 3}, "step"), ({"step": 6, "epoch": 0.1}, "epoch")):
        response = _report(api, claimed, **values)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)
    curve = api.get(f"/v1/trials/{claimed['trial_id']}/reports").json()["items"]
    assert [one["step"] for one in curve] == [1, 5]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"step": -1}, "step"),
        ({"step": 2**31}, "step"),
        ({"epoch": -0.5}, "epoch"),
        ({"epoch": 1e300}, "epoch"),
        ({"seconds": -1}, "seconds"),
        ({"metrics": {"accuracy": 7}}, "metrics.accuracy"),
        ({"metrics": {"my_score": 1}}, "metrics.my_score"),
        ({"checkpoint": {"sha256": "0" * 64, "size": 1}}, "checkpoint"),
        ({"checkpoint": {"sha256": "0" * 64, "size": 2**63}}, "checkpoint.size"),
    ],
)
def test_reports_are_checked_alike(
    api: TestClient, claimed: dict[str, Any], values: dict[str, Any], field: str
) -> None:
    response = _report(api, claimed, **{"step": 1} | values)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)
    assert api.get(f"/v1/trials/{claimed['trial_id']}/reports").json()["items"] == []


def test_metrics_at_lower_ranks_are_taken(api: TestClient, claimed: dict[str, Any]) -> None:
    response = _tell(api, claimed, metrics={**GOOD, "accuracy_at_rank_4": 0.7})
    assert response.status_code < 300, response.json()


@pytest.mark.parametrize(
    ("trial", "field"),
    [
        ({"metrics": {"accuracy": 7.0}}, "metrics.accuracy"),
        ({"metrics": {"accuracy": 1e308}}, "metrics.accuracy"),
        ({"metrics": {"loss": 0.1}}, "metrics.accuracy"),
        ({"metrics": {"accuracy": 0.5, "my_score": 1}}, "metrics.my_score"),
        ({"metrics": {"accuracy": 0.5, "trainable_params": -1}}, "metrics.trainable_params"),
        ({"config": {"method": "lora", "rank": 0}}, "config"),
    ],
)
def test_imported_trials_are_checked_alike_and_all_or_none_are_taken(
    api: TestClient, spec: Spec, trial: dict[str, Any], field: str
) -> None:
    space = {"method": "lora", "parameters": [{"type": "int", "name": "rank", "low": 1, "high": 64}]}
    job_id = api.post("/v1/jobs", json=spec | {"space": space}).json()["id"]
    sound = {"config": {"method": "lora", "rank": 8}, "metrics": {"accuracy": 0.5}}
    bad = {**sound, "config": {"method": "lora", "rank": 9}, **trial}
    response = api.post(f"/v1/jobs/{job_id}/trials", json={"trials": [sound, bad]})
    told = [one["field"] for one in response.json()["errors"]]
    assert (response.status_code, told) == (422, [f"trials.1.{field}"])
    assert api.get(f"/v1/jobs/{job_id}/trials").json()["items"] == []
    assert api.post(f"/v1/jobs/{job_id}/trials", json={"trials": [sound]}).json()["added"] == 1

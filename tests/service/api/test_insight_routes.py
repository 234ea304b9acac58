"""Importance, expectation and knee over REST."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.store.records import NewTrial

Spec = dict[str, Any]


@pytest.fixture
def job_id(api: TestClient, spec: Spec, worker: Any) -> str:
    """A job with twelve completed trials whose accuracy grows with the rank and then falls."""
    spec = spec | {"space": {"method": "lora", "parameters": [{"type": "int", "name": "rank", "low": 1, "high": 64}]}}
    spec["budget"] = {"trials": 20, "epochs": 1}
    created = api.post("/v1/jobs", json=spec)
    assert created.status_code == 201, created.text
    id: str = created.json()["id"]
    worker.start(id)
    ranks = list(range(2, 62, 5))
    worker.store.add_trials(id, [NewTrial({"method": "lora", "rank": rank}, "optimizer", 1) for rank in ranks])
    for rank in ranks:
        worker.complete(id, 0.9 - (rank - 30) ** 2 / 5000, 1000.0 * rank)
    return id


def test_importance_names_every_parameter(api: TestClient, job_id: str) -> None:
    answer = api.get(f"/v1/jobs/{job_id}/importance").json()
    assert (answer["metric"], answer["trials"]) == ("accuracy", 12)
    assert [one["parameter"] for one in answer["items"]] == ["rank"]
    refused = api.get(f"/v1/jobs/{job_id}/importance", params={"metric": "colour"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "metric")


def test_a_configuration_never_run_is_expected(api: TestClient, job_id: str) -> None:
    answer = api.post(f"/v1/jobs/{job_id}/expect", json={"config": {"method": "lora", "rank": 30}}).json()
    accuracy = answer["objectives"]["accuracy"]
    assert accuracy["low"] <= 0.9 + 1e-3
    assert accuracy["value"] == pytest.approx(0.9, abs=0.01)
    assert answer["known"] == ["trainable_params"]
    assert {one["parameter"] for one in answer["sensitivity"]} == {"rank"}
    refused = api.post(f"/v1/jobs/{job_id}/expect", json={"config": {"method": "lora", "rank": 1000}})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "config.rank")


def test_a_slice_goes_through_a_trial(api: TestClient, job_id: str) -> None:
    asked = {"parameter": "rank", "trial": 3}
    answer = api.get(f"/v1/jobs/{job_id}/slice", params=asked).json()
    assert (answer["metric"], answer["trials"]) == ("accuracy", 12)
    best = max(answer["points"], key=lambda point: point["value"])
    assert best["at"] == pytest.approx(30, abs=5)
    assert all(point["low"] <= point["value"] <= point["high"] for point in answer["points"])
    refused = api.get(f"/v1/jobs/{job_id}/slice", params=asked | {"parameter": "colour"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "parameter")
    assert api.get(f"/v1/jobs/{job_id}/slice", params=asked | {"trial": 999}).status_code == 404


def test_the_knee_is_on_the_front(api: TestClient, job_id: str, spec: Spec) -> None:
    answer = api.get(f"/v1/jobs/{job_id}/knee").json()
    assert answer["trial"]["on_front"]
    assert set(answer["objectives"]) == {"accuracy", "trainable_params"}
    empty = api.post("/v1/jobs", json=spec | {"name": "empty"}).json()["id"]
    assert api.get(f"/v1/jobs/{empty}/knee").status_code == 404
    refused = api.get(f"/v1/jobs/{empty}/importance")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "trials")

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


@pytest.mark.slow
def test_importance_names_every_parameter(api: TestClient, job_id: str) -> None:
    answer = api.get(f"/v1/jobs/{job_id}/importance").json()
    assert (answer["metric"], answer["trials"]) == ("accuracy", 12)
    assert [one["parameter"] for one in answer["items"]] == ["rank"]
    refused = api.get(f"/v1/jobs/{job_id}/importance", params={"metric": "colour"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "metric")


@pytest.mark.slow
def test_a_configuration_never_run_is_expected(api: TestClient, job_id: str) -> None:
    answer = api.post(f"/v1/jobs/{job_id}/expect", json={"config": {"method": "lora", "rank": 30}}).json()
    accuracy = answer["objectives"]["accuracy"]
    assert accuracy["low"] <= 0.9 + 1e-3
    assert accuracy["value"] == pytest.approx(0.9, abs=0.01)
    assert answer["known"] == ["trainable_params"]
    assert {one["parameter"] for one in answer["sensitivity"]} == {"rank"}
    refused = api.post(f"/v1/jobs/{job_id}/expect", json={"config": {"method": "lora", "rank": 1000}})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "config.rank")


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_contour_goes_over_two_parameters(api: TestClient, spec: Spec, worker: Any) -> None:
    ranges = [{"type": "int", "name": name, "low": 1, "high": 40} for name in ("rank", "alpha")]
    job_id = api.post("/v1/jobs", json=spec | {"space": {"method": "lora", "parameters": ranges}}).json()["id"]
    worker.start(job_id)
    pairs = [(rank, alpha) for rank in (2, 14, 26, 38) for alpha in (4, 20, 36)]
    configs = [{"method": "lora", "rank": rank, "alpha": alpha} for rank, alpha in pairs]
    worker.store.add_trials(job_id, [NewTrial(config, "optimizer", 1) for config in configs])
    for rank, alpha in pairs:
        worker.complete(job_id, 0.8 - (rank - 26) ** 2 / 4000 - (alpha - 20) ** 2 / 4000, 1000.0 * rank)
    asked = {"across": "rank", "up": "alpha", "trial": 3}
    answer = api.get(f"/v1/jobs/{job_id}/contour", params=asked).json()
    assert [len(row) for row in answer["value"]] == [len(answer["across_values"])] * len(answer["up_values"])
    best = max(
        (value, across, up)
        for row, up in zip(answer["value"], answer["up_values"], strict=True)
        for value, across in zip(row, answer["across_values"], strict=True)
    )
    assert best[1:] == (pytest.approx(26, abs=6), pytest.approx(20, abs=6))
    rows = zip(answer["low"], answer["value"], answer["high"], strict=True)
    assert all(low <= value <= high for row in rows for low, value, high in zip(*row, strict=True))
    refused = api.get(f"/v1/jobs/{job_id}/contour", params=asked | {"up": "rank"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "up")


@pytest.mark.slow
def test_the_front_is_as_unsure_as_its_trials_leave_it(api: TestClient, job_id: str) -> None:
    answer = api.get(f"/v1/jobs/{job_id}/uncertainty").json()
    front = {one["number"]: one for one in api.get(f"/v1/jobs/{job_id}/pareto").json()["items"]}
    assert answer["trials"] == 12
    assert {one["number"] for one in answer["items"]} == set(front)
    assert {one["metric"] for one in answer["items"]} == {"accuracy"}  # how many parameters there are is known
    for one in answer["items"]:
        assert one["low"] < front[one["number"]]["metrics"]["accuracy"] < one["high"]


@pytest.mark.slow
def test_the_knee_is_on_the_front(api: TestClient, job_id: str, spec: Spec) -> None:
    answer = api.get(f"/v1/jobs/{job_id}/knee").json()
    assert answer["trial"]["on_front"]
    assert set(answer["objectives"]) == {"accuracy", "trainable_params"}
    empty = api.post("/v1/jobs", json=spec | {"name": "empty"}).json()["id"]
    assert api.get(f"/v1/jobs/{empty}/knee").status_code == 404
    refused = api.get(f"/v1/jobs/{empty}/importance")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "trials")

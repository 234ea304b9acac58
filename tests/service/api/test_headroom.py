"""`best` says when trials went for trade-offs, and how far the best quality may still be."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.store.records import NewTrial

Spec = dict[str, Any]


def _job(api: TestClient, spec: Spec, worker: Any, ranks: list[int], objectives: list[dict[str, str]]) -> str:
    """Trials whose accuracy grows with the rank, as the cost does."""
    spec = spec | {"space": {"method": "lora", "parameters": [{"type": "int", "name": "rank", "low": 1, "high": 64}]}}
    spec |= {"objectives": objectives, "budget": {"trials": 20, "epochs": 1}}
    id: str = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(id)
    worker.store.add_trials(id, [NewTrial({"method": "lora", "rank": rank}, "optimizer", 1) for rank in ranks])
    for rank in ranks:
        worker.complete(id, 0.9 - (rank - 50) ** 2 / 5000, 1000.0 * rank)
    return id


ACCURACY = {"metric": "accuracy", "direction": "maximize"}
COST = {"metric": "trainable_params", "direction": "minimize"}
CHEAP = [1, 3, 5, 7, 9, 11, 13, 15]


@pytest.mark.slow
def test_trials_at_the_cheap_end_leave_room_for_quality(api: TestClient, spec: Spec, worker: Any) -> None:
    job = _job(api, spec, worker, CHEAP, [ACCURACY, COST])
    seen = api.get(f"/v1/jobs/{job}/best?headroom=true").json()["headroom"]
    assert (seen["metric"], seen["tradeoffs"], seen["trials"]) == ("accuracy", 7, 8)
    missing = (15 - 50) ** 2 / 5000
    assert 0.2 * missing < seen["expected"] < seen["most"]
    assert seen["text"].startswith("7 of 8 trials went for trade-offs with the other objectives. A model")


@pytest.mark.slow
def test_quality_that_was_looked_for_leaves_little(api: TestClient, spec: Spec, worker: Any) -> None:
    around = [1, 20, 35, 44, 47, 50, 53, 56, 60, 64]
    seen = api.get(f"/v1/jobs/{_job(api, spec, worker, around, [ACCURACY, COST])}/best?headroom=true").json()[
        "headroom"
    ]
    assert seen["expected"] <= seen["most"] < 0.02


@pytest.mark.slow
def test_it_is_not_said_where_it_means_nothing(api: TestClient, spec: Spec, worker: Any) -> None:
    job = _job(api, spec, worker, CHEAP, [ACCURACY, COST])
    for query in ({"minimize": "trainable_params"}, {"where": "rank>2"}):
        assert api.get(f"/v1/jobs/{job}/best", params=query | {"headroom": True}).json()["headroom"] is None
    alone = _job(api, spec, worker, CHEAP, [ACCURACY])
    assert api.get(f"/v1/jobs/{alone}/best?headroom=true").json()["headroom"] is None
    few = _job(api, spec, worker, CHEAP[:4], [ACCURACY, COST])
    assert api.get(f"/v1/jobs/{few}/best?headroom=true").json()["headroom"] is None

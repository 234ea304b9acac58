"""What is asked of the space of a job whose model is not there any more is refused with the field that names it."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.store.store import Store

Spec = dict[str, Any]


@pytest.fixture
def job_id(api: TestClient, spec: Spec, store: Store, worker: Any) -> str:
    """A running job of an outside worker, with a completed trial; its model has gone since."""
    changes = {
        "resources": {"executor": "external"},
        "scheduler": {"name": "asha"},
        "budget": {"trials": 9, "epochs": 9},
    }
    sound = api.post("/v1/jobs", json=spec | changes | {"objectives": spec["objectives"][:1]}).json()
    id: str = sound["id"]
    worker.start(id)
    worker.suggest(id, 2)
    worker.complete(id, 0.7, 300)
    store.extend_job(id, sound["spec"] | {"task": sound["spec"]["task"] | {"model": "builtin:gone"}})
    return id


@pytest.mark.slow
def test_neither_questions_nor_reports_break_on_it(api: TestClient, job_id: str, store: Store) -> None:
    trial = store.claim_trial(job_id, "outside", 60)
    assert trial is not None
    told = {"step": 1, "epoch": 1.0, "metrics": {"accuracy": 0.5}, "seconds": 1, "attempt": trial.attempt}
    for response in (
        api.get(f"/v1/jobs/{job_id}/best", params={"where": "dropout<=1"}),
        api.get(f"/v1/jobs/{job_id}/importance", params={"metric": "accuracy"}),
        api.post(f"/v1/trials/{trial.id}/report", json=told | {"trial_id": trial.id}),
    ):
        assert response.status_code == 422, response.text
        (error,) = response.json()["errors"]
        assert (error["field"], error["found"]) == ("task.model", "builtin:gone")
    best = api.get(f"/v1/jobs/{job_id}/best")
    assert (best.status_code, best.json()["trial"]["id"]) == (200, f"{job_id}-0")
    assert "as 'builtin:gone' cannot be read here any more" in best.json()["snippet"]

"""Outside workers: ask, report, tell, and what happens when two of them meet."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient

Spec = dict[str, Any]


@pytest.fixture
def job_id(api: TestClient, spec: Spec, worker: Any) -> str:
    """A running job for outside workers with two queued trials."""
    response = api.post("/v1/jobs", json=spec | {"resources": {"executor": "external"}, "seed": 5})
    id: str = response.json()["id"]
    worker.start(id)
    worker.suggest(id, 2)
    return id


def _ask(api: TestClient, job_id: str, worker_id: str = "w1", wait: float = 0) -> Any:
    return api.post(f"/v1/jobs/{job_id}/ask", json={"worker_id": worker_id, "wait": wait})


def _outcome(assignment: dict[str, Any], **values: Any) -> dict[str, Any]:
    own = {name: assignment[name] for name in ("trial_id", "attempt")}
    return {**own, "status": "completed", "metrics": {"accuracy": 0.8, "trainable_params": 10}, **values}


def test_a_worker_gets_everything_it_needs(api: TestClient, job_id: str, data_root: Any) -> None:
    assignment = _ask(api, job_id).json()
    assert assignment["trial_id"] == f"{job_id}-0"
    assert (assignment["attempt"], assignment["epochs"], assignment["seed"], assignment["data_seed"]) == (1, 1.0, 1, 5)
    assert assignment["config"] == {"method": "lora", "rank": 1, "targets": "qv", "learning_rate": 1e-3}
    assert assignment["task"]["train"] == str(data_root / "train.csv")
    assert assignment["lease_seconds"] == 60


def test_asking_again_returns_the_open_trial(api: TestClient, job_id: str) -> None:
    first = _ask(api, job_id).json()
    assert _ask(api, job_id).json() == first
    assert _ask(api, job_id, "w2").json()["trial_id"] == f"{job_id}-1"
    assert _ask(api, job_id, "w3").status_code == 204


def test_reports_are_stored_and_answered(api: TestClient, job_id: str) -> None:
    assignment = _ask(api, job_id).json()
    report = {"step": 3, "epoch": 0.5, "metrics": {"loss": 0.4}, "seconds": 2.5}
    report |= {name: assignment[name] for name in ("trial_id", "attempt")}
    path = f"/v1/trials/{assignment['trial_id']}/report"
    assert api.post(path, json=report).json() == {"decision": "continue"}
    (stored,) = api.get(f"/v1/trials/{assignment['trial_id']}/reports").json()["items"]
    assert (stored["step"], stored["metrics"], stored["seconds"]) == (3, {"loss": 0.4}, 2.5)
    api.post(f"/v1/jobs/{job_id}/cancel")
    assert api.post(path, json=report | {"step": 4}).json() == {"decision": "stop"}


def test_telling_ends_the_trial_once(api: TestClient, job_id: str) -> None:
    outcome = _outcome(_ask(api, job_id).json())
    path = f"/v1/trials/{outcome['trial_id']}/tell"
    told = api.post(path, json=outcome)
    assert (told.status_code, told.json()["state"], told.json()["on_front"]) == (200, "completed", True)
    assert api.post(path, json=outcome).json() == told.json()
    other = api.post(path, json=outcome | {"metrics": {"accuracy": 0.9, "trainable_params": 10}})
    assert other.status_code == 409
    assert api.get(f"/v1/trials/{outcome['trial_id']}").json()["metrics"]["accuracy"] == 0.8


def test_an_old_attempt_changes_nothing(api: TestClient, job_id: str, store: Any) -> None:
    assignment = _ask(api, job_id).json()
    store.requeue_trial(assignment["trial_id"], assignment["attempt"], "worker lost")
    new = _ask(api, job_id, "w2").json()
    assert (new["trial_id"], new["attempt"] > assignment["attempt"]) == (assignment["trial_id"], True)
    before = api.get(f"/v1/trials/{new['trial_id']}").json()
    report = {"step": 1, "epoch": 1, "metrics": {}, "seconds": 1, "trial_id": new["trial_id"], "attempt": 1}
    for path, body in (("report", report), ("tell", _outcome(assignment))):
        response = api.post(f"/v1/trials/{new['trial_id']}/{path}", json=body)
        assert response.status_code == 409
        assert response.json()["type"] == "urn:peftsearch:problem:stale-attempt"
    assert api.get(f"/v1/trials/{new['trial_id']}").json() == before


def test_asking_can_wait_for_a_trial(api: TestClient, job_id: str, worker: Any) -> None:
    for name in ("w1", "w2"):
        _ask(api, job_id, name)
    threading.Timer(0.5, worker.suggest, (job_id, 1)).start()
    assert _ask(api, job_id, "w3", wait=10).json()["trial_id"] == f"{job_id}-2"
    assert _ask(api, job_id, "w4", wait=0.4).status_code == 204


def test_a_job_that_is_over_has_no_more_work(api: TestClient, job_id: str) -> None:
    api.post(f"/v1/jobs/{job_id}/cancel")
    response = _ask(api, job_id)
    assert response.status_code == 409
    assert "cancelled" in response.json()["detail"]


def test_a_paused_job_hands_nothing_out(api: TestClient, job_id: str) -> None:
    api.post(f"/v1/jobs/{job_id}/pause")
    assert _ask(api, job_id).status_code == 204


def test_jobs_that_the_service_trains_are_refused(api: TestClient, spec: Spec, worker: Any, store: Any) -> None:
    id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(id)
    worker.suggest(id, 1)
    trial = store.claim_trial(id, "conductor/1", 60)
    outcome = _outcome({"trial_id": trial.id, "attempt": trial.attempt})
    report = {"step": 1, "epoch": 1, "metrics": {}, "seconds": 1, "trial_id": trial.id, "attempt": trial.attempt}
    for response in (
        _ask(api, id),
        api.post(f"/v1/trials/{trial.id}/report", json=report),
        api.post(f"/v1/trials/{trial.id}/tell", json=outcome),
    ):
        assert response.status_code == 409
        assert "executor: external" in response.json()["detail"]
    assert (store.get_trial(trial.id).state, store.reports(trial.id)) == ("running", ())


def test_ids_and_bodies_must_agree(api: TestClient, job_id: str) -> None:
    outcome = _outcome(_ask(api, job_id).json())
    mixed = api.post(f"/v1/trials/{job_id}-1/tell", json=outcome)
    assert (mixed.status_code, mixed.json()["errors"][0]["field"]) == (422, "trial_id")
    unknown = api.post(f"/v1/trials/{outcome['trial_id']}/tell", json=outcome | {"score": 1})
    assert unknown.json()["errors"][0]["field"] == "score"
    missing = api.post("/v1/trials/jx-1/tell", json=outcome | {"trial_id": "jx-1"})
    assert missing.status_code == 404


def test_the_scheduler_of_the_job_answers_reports(api: TestClient, spec: Spec, worker: Any) -> None:
    asked = {"resources": {"executor": "external"}, "scheduler": {"name": "asha"}}
    asked |= {"objectives": spec["objectives"][:1], "budget": {"trials": 9, "epochs": 9}}
    job_id = api.post("/v1/jobs", json=spec | asked).json()["id"]
    worker.start(job_id)
    worker.suggest(job_id, 8)
    decisions = []
    for number in range(8):  # each worse than all before it
        assignment = _ask(api, job_id, f"w{number}").json()
        report = {"step": 1, "epoch": 1.0, "metrics": {"accuracy": 0.9 - number / 10}, "seconds": 1}
        report |= {name: assignment[name] for name in ("trial_id", "attempt")}
        decisions.append(api.post(f"/v1/trials/{assignment['trial_id']}/report", json=report).json()["decision"])
    assert decisions[0] == "continue"
    assert decisions[-1] == "stop"

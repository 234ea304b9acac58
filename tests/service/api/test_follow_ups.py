"""What goes on from a trial: specs of jobs that could, jobs that did, and courses for lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.jobs.kinds import search_spec
from service.jobs.search.problem import build_problem
from service.jobs.seeds import trial_seed
from service.store.records import NewTrial
from service.store.store import Store

Spec = dict[str, Any]


@pytest.fixture
def job_id(api: TestClient, spec: Spec, worker: Any) -> str:
    """A running job with four completed trials, the third with an adapter."""
    id: str = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(id)
    worker.suggest(id, 4)
    for accuracy in (0.7, 0.65, 0.9, 0.8):
        worker.complete(id, accuracy, 300, adapter=accuracy == 0.9)
    return id


def test_a_trial_is_trained_again_on_the_same_rows_with_another_seed(
    api: TestClient, job_id: str, store: Store
) -> None:
    trial = store.get_trial(f"{job_id}-2")
    spec = api.get(f"/v1/trials/{trial.id}/follow-up", params={"how": "again"}).json()["spec"]
    assert (spec["name"], spec["budget"]["trials"]) == ("small, trial 2 again", 1)
    assert spec["reference_trials"] == [trial.config]
    created = api.post("/v1/jobs", json=spec)
    assert created.status_code == 201, created.text
    assert created.json()["spec"]["seed"] == store.get_job(job_id).spec["seed"]
    own = trial_seed(spec["seed"], 0)
    (same,) = store.add_trials(job_id, [NewTrial(trial.config, "optimizer", seed=own)])
    twice = api.get(f"/v1/trials/{same.id}/follow-up").json()["spec"]
    assert (len(twice["reference_trials"]), twice["budget"]["trials"]) == (2, 2)


def test_a_search_around_a_trial_begins_with_it_in_a_narrower_space(api: TestClient, job_id: str, store: Store) -> None:
    space = build_problem(search_spec(store.get_job(job_id))).space
    (config,) = space.sample(1, np.random.default_rng(0))
    (trial,) = store.add_trials(job_id, [NewTrial(config, "optimizer", seed=5)])
    spec = api.get(f"/v1/trials/{trial.id}/follow-up", params={"how": "around"}).json()["spec"]
    overrides = spec["space"]["overrides"]
    assert spec["name"] == f"small, around trial {trial.number}"
    assert overrides["batch_size"] == {"value": 8}
    assert overrides["targets"] == {"value": config["targets"]}
    assert overrides["learning_rate"]["low"] < config["learning_rate"] < overrides["learning_rate"]["high"]
    assert spec["reference_trials"] == [config]
    created = api.post("/v1/jobs", json=spec)
    assert created.status_code == 201, created.text
    narrowed = build_problem(search_spec(store.get_job(created.json()["id"]))).space
    assert narrowed.contains(config)
    assert [one for one in space.sample(20, np.random.default_rng(1)) if narrowed.contains(one)] == []
    assert api.get(f"/v1/trials/{trial.id}/follow-up", params={"how": "sideways"}).status_code == 422


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"task": {"model": "builtin:gone"}}, "task.model"), ({"space": {"preset": "gone"}}, "space")],
)
def test_of_a_job_whose_space_is_gone_only_the_training_goes_on(
    api: TestClient, spec: Spec, store: Store, changes: dict[str, Spec], field: str
) -> None:
    sound = api.post("/v1/jobs", json=spec).json()["spec"]
    job = store.create_job("old", sound | {part: sound[part] | changed for part, changed in changes.items()})
    (trial,) = store.add_trials(job.id, [NewTrial({"method": "lora", "rank": 4}, "optimizer", seed=5)])
    refused = api.get(f"/v1/trials/{trial.id}/follow-up", params={"how": "around"})
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert (error["field"], "gone" in str(error["found"])) == (field, True)
    assert api.get(f"/v1/trials/{trial.id}/follow-up", params={"how": "again"}).status_code == 200


def test_a_trial_knows_the_jobs_that_refine_it(api: TestClient, job_id: str) -> None:
    winner = f"{job_id}-2"
    assert api.get(f"/v1/trials/{winner}/uses").json()["items"] == []
    steps = [{"step": "compress", "keep": [0.5]}]
    body = {"name": "smaller", "kind": "refine", "source": {"trials": [winner]}, "steps": steps}
    created = api.post("/v1/jobs", json=body)
    assert created.status_code == 201, created.text
    refined = created.json()["id"]
    assert api.get(f"/v1/trials/{winner}/uses").json()["items"] == [
        {"job_id": refined, "name": "smaller", "state": "queued", "number": 0}
    ]
    assert api.get(f"/v1/trials/{job_id}-1/uses").json()["items"] == []


def test_courses_are_the_best_so_far_of_the_jobs_that_one_sees(
    api: TestClient, job_id: str, settings: Any, store: Store, artifacts: Any
) -> None:
    found = api.get("/v1/courses", params={"job": [job_id, "jnone", job_id]}).json()["items"]
    assert found == [{"job_id": job_id, "metric": "accuracy", "values": [0.7, 0.7, 0.9, 0.9]}]
    assert store.course(job_id, "trainable_params", False, 40) == [300.0] * 4
    assert len(store.course(job_id, "accuracy", True, 3)) == 3
    secret = store.create_token("elsewhere", ["read"], project="other")[0]
    asking = settings.model_copy(update={"no_auth": False})
    with TestClient(create_app(asking, store, artifacts)) as guarded:
        seen = guarded.get("/v1/courses", params={"job": job_id}, headers={"Authorization": f"Bearer {secret}"})
    assert seen.json()["items"] == []

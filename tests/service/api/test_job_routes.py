"""Jobs over REST: submit, list, read, steer, clone, extend, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from fastapi.testclient import TestClient

from service.conductor.proposing.replay import history
from service.jobs.search.problem import build_problem, build_space
from service.jobs.search.spec import JobSpec, SpaceSpec
from service.store.records import NewTrial
from service.store.store import Store
from tests.service.conductor.stored import stored_trial
from workers.assignment import Report
from workers.models.description import describe

Spec = dict[str, Any]


def test_a_submitted_job_is_queued_with_absolute_paths(api: TestClient, spec: Spec, data_root: Path) -> None:
    response = api.post("/v1/jobs", json=spec)
    job = response.json()
    assert response.status_code == 201, job
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["name"], job["front_size"], job["best"]) == ("queued", "small", 0, {})
    assert job["spec"]["task"]["train"] == str(data_root / "train.csv")
    assert job["spec"]["budget"] == {"trials": 6, "epochs": 1.0, "wall_clock": None}
    assert job["progress"]["trials_total"] == 6
    assert job["progress"]["seconds_left"] is None
    assert job["objectives"] == spec["objectives"]
    assert api.get(f"/v1/jobs/{job['id']}").json() == job


def test_what_open_trials_have_trained_is_progress(api: TestClient, spec: Spec, worker: Any) -> None:
    """Under schedulers that pause, no trial ends for a long time, and all of them get somewhere."""
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    worker.suggest(job_id, 4)
    assert api.get(f"/v1/jobs/{job_id}").json()["progress"]["share"] == 0.0
    seen = {api.get(f"/v1/jobs/{job_id}").headers["etag"]}
    for paused in range(1, 4):  # each at half its budget
        worker.pause(job_id)
        response = api.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": max(seen)})
        progress = response.json()["progress"]
        assert progress["share"] == 0.5 * paused / 6
        assert (progress["completed"], progress["paused"], progress["trials_total"]) == (0, paused, 6)
        assert progress["seconds_left"] is not None
        seen.add(response.headers["etag"])
    trial = worker.store.claim_trial(job_id, "w", 60)
    before = api.get(f"/v1/jobs/{job_id}").headers["etag"]
    given = {"trial_id": trial.id, "attempt": trial.attempt, "step": 1, "epoch": 0.25, "seconds": 1}
    worker.store.add_reports([Report(metrics={"loss": 1.0}, **given)])
    after = api.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": before})
    assert after.json()["progress"]["share"] == 1.75 / 6
    api.post(f"/v1/jobs/{job_id}/cancel")
    assert api.get(f"/v1/jobs/{job_id}").json()["progress"]["share"] < 1.0


def test_yaml_says_the_same_as_json(api: TestClient, spec: Spec) -> None:
    spec["budget"]["wall_clock"] = "1h30m"
    posted = api.post("/v1/jobs", content=yaml.safe_dump(spec), headers={"Content-Type": "application/yaml"}).json()
    assert posted["spec"]["budget"]["wall_clock"] == 5400
    assert posted["spec"] == api.post("/v1/jobs", json=spec).json()["spec"]


def test_one_idempotency_key_makes_one_job(api: TestClient, spec: Spec) -> None:
    key = {"Idempotency-Key": "again"}
    first, second = (api.post("/v1/jobs", json=spec, headers=key).json() for _ in range(2))
    assert first["id"] == second["id"]
    assert len(api.get("/v1/jobs").json()["items"]) == 1
    other = api.post("/v1/jobs", json=spec | {"name": "other"}, headers=key)
    assert other.status_code == 409
    assert first["id"] in other.json()["detail"]


def test_lists_come_newest_first_in_pages(api: TestClient, spec: Spec) -> None:
    for number in range(5):
        api.post("/v1/jobs", json=spec | {"name": f"job {number}"})
    names, cursor = [], None
    while True:
        page = api.get("/v1/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["items"]) <= 2
        names += [job["name"] for job in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == [f"job {number}" for number in (4, 3, 2, 1, 0)]


def test_an_unchanged_job_is_not_sent_again(api: TestClient, spec: Spec, worker: Any) -> None:
    job = api.post("/v1/jobs", json=spec).json()
    first = api.get(f"/v1/jobs/{job['id']}")
    same = api.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    worker.start(job["id"])
    changed = api.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.json()["state"] == "running"


def test_progress_best_and_time_left_follow_the_trials(api: TestClient, spec: Spec, worker: Any) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    worker.suggest(job_id, 3)
    worker.complete(job_id, accuracy=0.7, params=500)
    worker.complete(job_id, accuracy=0.8, params=900)
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert job["progress"]["completed"] == 2
    assert job["progress"]["queued"] == 1
    assert job["front_size"] == 2
    assert (job["best_trial"], job["best"]) == (f"{job_id}-1", {"accuracy": 0.8, "trainable_params": 900})
    assert job["progress"]["seconds_left"] > 0


def test_pause_resume_cancel(api: TestClient, spec: Spec) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    assert api.post(f"/v1/jobs/{job_id}/pause").json()["state"] == "paused"
    assert api.post(f"/v1/jobs/{job_id}/pause").json()["state"] == "paused"
    assert api.post(f"/v1/jobs/{job_id}/resume").json()["state"] == "queued"
    assert api.post(f"/v1/jobs/{job_id}/resume").json()["state"] == "queued"
    assert api.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    assert api.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    for verb in ("pause", "resume"):
        refused = api.post(f"/v1/jobs/{job_id}/{verb}")
        assert refused.status_code == 409
        assert "cancelled" in refused.json()["detail"]


def test_a_clone_takes_changes(api: TestClient, spec: Spec) -> None:
    job = api.post("/v1/jobs", json=spec).json()
    response = api.post(f"/v1/jobs/{job['id']}/clone", json={"name": "copy", "budget": {"trials": 9}})
    clone = response.json()
    assert response.status_code == 201
    assert clone["id"] != job["id"]
    assert clone["spec"] == job["spec"] | {"name": "copy", "budget": job["spec"]["budget"] | {"trials": 9}}
    refused = api.post(f"/v1/jobs/{job['id']}/clone", json={"budget": {"trials": 0}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "budget.trials"


def test_extending_a_finished_job_queues_it_again(api: TestClient, spec: Spec) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    api.post(f"/v1/jobs/{job_id}/cancel")
    extended = api.post(f"/v1/jobs/{job_id}/extend", json={"trials": 4}).json()
    assert (extended["state"], extended["progress"]["trials_total"]) == ("queued", 10)
    nothing = api.post(f"/v1/jobs/{job_id}/extend", json={})
    assert (nothing.status_code, nothing.json()["errors"][0]["field"]) == (422, "trials")
    unlimited = api.post(f"/v1/jobs/{job_id}/extend", json={"wall_clock": 60})
    assert (unlimited.status_code, unlimited.json()["errors"][0]["field"]) == (422, "wall_clock")


def test_only_jobs_that_do_not_run_can_be_deleted(api: TestClient, spec: Spec, worker: Any) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    refused = api.delete(f"/v1/jobs/{job_id}")
    assert refused.status_code == 409
    assert "cancel" in refused.json()["detail"]
    api.post(f"/v1/jobs/{job_id}/cancel")
    assert api.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert api.get(f"/v1/jobs/{job_id}").status_code == 404


def test_unknown_jobs_are_404_everywhere(api: TestClient) -> None:
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/cancel"),
        ("GET", "/trials"),
        ("GET", "/pareto"),
        ("GET", "/best"),
        ("GET", "/events"),
    ]:
        response = api.request(method, f"/v1/jobs/jnone{path}")
        assert response.status_code == 404, path
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"] == "there is no job 'jnone'"


def test_the_space_of_a_running_job_changes_and_suggestions_without_a_place_are_taken_back(
    api: TestClient, spec: Spec, worker: Any
) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    space = build_space(SpaceSpec(**spec["space"]), describe("builtin:minilm"))
    queued = [NewTrial({**space.default, "rank": rank}, "optimizer", 1) for rank in (2, 32)]
    worker.store.add_trials(job_id, queued)
    changed = api.patch(f"/v1/jobs/{job_id}/space", json={"overrides": {"rank": {"low": 8}}})
    assert changed.status_code == 200, changed.json()
    assert changed.json()["spec"]["space"]["overrides"] == {"batch_size": {"value": 8}, "rank": {"low": 8}}
    left = api.get(f"/v1/jobs/{job_id}/trials").json()["items"]
    assert [trial["config"]["rank"] for trial in left] == [32]


def test_a_running_job_searches_an_added_parameter_and_learns_from_the_trials_before(
    api: TestClient, spec: Spec, store: Store
) -> None:
    job = store.create_job("t", JobSpec.model_validate(spec).model_dump(mode="json"))
    before = build_problem(JobSpec.model_validate(job.spec)).space.default
    added = {"type": "float", "name": "label_smoothing", "low": 0.0, "high": 0.2}
    changes = {"parameters": [added], "implied": {"label_smoothing": 0.0}}
    stored = api.patch(f"/v1/jobs/{job.id}/space", json=changes).json()["spec"]
    problem = build_problem(JobSpec.model_validate(stored))
    trial = stored_trial(0, "completed", config=before, metrics={"accuracy": 0.7, "trainable_params": 9.0})
    seen = history([trial], problem, {}, stored["space"]["implied"]).completed[0]
    assert seen.config == {**before, "label_smoothing": 0.0}
    assert problem.space.contains(seen.config)


def test_a_space_that_cannot_be_is_refused_and_changes_nothing(api: TestClient, spec: Spec) -> None:
    job = api.post("/v1/jobs", json=spec).json()
    url = f"/v1/jobs/{job['id']}/space"
    for changes, field in (
        ({"overrides": {"rank": {"low": 4000}}}, "space.overrides.rank"),
        ({"parameters": [{"type": "float", "name": "rank", "low": 0.0, "high": 1.0}]}, "space"),
        ({"presets": "lora"}, "space.presets"),
    ):
        refused = api.patch(url, json=changes)
        assert refused.status_code == 422, refused.json()
        assert refused.json()["errors"][0]["field"] == field
    assert api.get(f"/v1/jobs/{job['id']}").json()["spec"] == job["spec"]
    api.post(f"/v1/jobs/{job['id']}/cancel")
    assert api.patch(url, json={"overrides": {"rank": {"low": 8}}}).status_code == 409

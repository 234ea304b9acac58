"""The report on a confirmed search over REST."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.answering.costly import Desk
from service.api.routes.confirmation import report
from service.settings import Settings
from service.store.records import NewTrial
from workers.assignment import Outcome
from workers.tasks.catalogue.causal_lm import CausalLMSpec
from workers.tasks.section import TypeSection

Spec = dict[str, Any]
SPACE = {"method": "lora", "parameters": [{"type": "int", "name": "rank", "low": 1, "high": 64}]}


@pytest.fixture
def job_id(api: TestClient, spec: Spec, worker: Any) -> str:
    """A job whose search is over: a reference at 0.7 and twelve trials, the best (rank 32) at 0.9."""
    spec = spec | {"space": SPACE, "confirm": {"seeds": 3}, "budget": {"trials": 13, "epochs": 1}}
    spec["task"] = spec["task"] | {"test": 0.25}
    created = api.post("/v1/jobs", json=spec)
    assert created.status_code == 201, created.text
    id: str = created.json()["id"]
    worker.start(id)
    worker.store.add_trials(id, [NewTrial({"method": "lora", "rank": 1}, "reference", 1, "literature-default")])
    worker.complete(id, 0.7, 2000.0)
    ranks = list(range(2, 62, 5))
    worker.store.add_trials(id, [NewTrial({"method": "lora", "rank": rank}, "optimizer", 1) for rank in ranks])
    for rank in ranks:
        worker.complete(id, 0.9 - (rank - 32) ** 2 / 5000, 1000.0 * rank)
    return id


def _confirm(worker: Any, job_id: str, number: int, values: list[float], failed: int = 0) -> None:
    trial = worker.store.get_trial(f"{job_id}-{number}")
    new = [NewTrial(trial.config, "confirmation", seed, trial.label, trial.id) for seed in range(len(values) + failed)]
    for one, value in zip(worker.store.add_trials(job_id, new), [*values, *[None] * failed], strict=True):
        claimed = worker.store.claim_trial(job_id, f"again-{one.id}", 60, one.id)
        metrics = {} if value is None else {"accuracy": value, "trainable_params": trial.metrics["trainable_params"]}
        status = "failed" if value is None else "completed"
        worker.store.finish_trial(
            Outcome(trial_id=one.id, attempt=claimed.attempt, status=status, metrics=metrics, reason=None)
        )


def test_the_report_tells_what_is_left_of_a_gain(api: TestClient, job_id: str, worker: Any) -> None:
    front_before = [one["id"] for one in api.get(f"/v1/jobs/{job_id}/pareto").json()["items"]]
    assert api.get(f"/v1/jobs/{job_id}/confirmation").json()["state"] == "waiting"
    _confirm(worker, job_id, 0, [0.7, 0.72, 0.68])
    _confirm(worker, job_id, 7, [0.8, 0.82, 0.78])
    report = api.get(f"/v1/jobs/{job_id}/confirmation").json()
    assert (report["state"], report["split"], report["seeds"]) == ("done", "test", 3)
    reference, best = report["items"]
    assert reference["trial"]["label"] == "literature-default"
    accuracy, params = best["objectives"]
    assert accuracy["searched"] == pytest.approx(0.9)
    assert accuracy["confirmed"]["value"] == pytest.approx(0.8)
    assert accuracy["seeds"] == 3
    assert accuracy["promised"]["value"] == pytest.approx(0.9, abs=0.02)
    assert accuracy["kept"] is False  # a smooth curve promised 0.9
    assert accuracy["gain"]["reference"] == f"{job_id}-0"
    assert accuracy["gain"]["searched"] == pytest.approx(0.2)
    assert accuracy["gain"]["confirmed"]["low"] == pytest.approx(0.1)  # seeds move both alike
    assert accuracy["gain"]["survived"] == pytest.approx(0.5)
    assert (params["promised"], params["gain"]) == (None, None)
    assert params["confirmed"]["low"] == params["confirmed"]["high"] == 32_000
    assert report["kept"] <= report["promises"] <= report["promised"]
    assert [one["id"] for one in api.get(f"/v1/jobs/{job_id}/pareto").json()["items"]] == front_before


def test_confirmations_are_listed_only_when_asked_for(api: TestClient, job_id: str, worker: Any) -> None:
    _confirm(worker, job_id, 7, [0.99, 0.99])
    searched = api.get(f"/v1/jobs/{job_id}/trials").json()["items"]
    assert len(searched) == 13
    again = api.get(f"/v1/jobs/{job_id}/trials", params={"origin": "confirmation"}).json()["items"]
    assert {one["confirms"] for one in again} == {f"{job_id}-7"}
    assert api.get(f"/v1/jobs/{job_id}/best").json()["objectives"]["accuracy"] == pytest.approx(0.9)
    progress = api.get(f"/v1/jobs/{job_id}").json()["progress"]
    assert (progress["trials_total"], progress["completed"]) == (13, 13)  # the search, which is over
    assert (progress["confirmations"], progress["share"]) == ({"total": 2, "done": 2}, 1.0)


def test_a_confirmation_under_way_is_no_trial_of_the_search(api: TestClient, job_id: str, worker: Any) -> None:
    assert api.get(f"/v1/jobs/{job_id}").json()["progress"]["confirmations"] is None
    trial = worker.store.get_trial(f"{job_id}-7")
    new = [NewTrial(trial.config, "confirmation", seed, trial.label, trial.id) for seed in range(2)]
    one, _ = worker.store.add_trials(job_id, new)
    worker.store.claim_trial(job_id, "again", 60, one.id)
    progress = api.get(f"/v1/jobs/{job_id}").json()["progress"]
    assert (progress["completed"], progress["running"], progress["queued"], progress["trials_total"]) == (13, 0, 0, 13)
    assert progress["confirmations"] == {"total": 2, "done": 0}
    assert progress["share"] == pytest.approx(13 / 15)
    report = api.get(f"/v1/jobs/{job_id}/confirmation").json()
    assert (report["state"], report["promised"] > 0, report["promises"]) == ("running", True, 0)


def test_failed_repetitions_are_counted_and_one_left_gives_no_interval(
    api: TestClient, job_id: str, worker: Any
) -> None:
    _confirm(worker, job_id, 7, [0.8], failed=2)
    (best,) = api.get(f"/v1/jobs/{job_id}/confirmation").json()["items"]
    assert best["failed"] == 2
    accuracy = best["objectives"][0]
    assert (accuracy["seeds"], accuracy["confirmed"], accuracy["kept"], accuracy["gain"]) == (1, None, None, None)


def test_a_job_that_confirms_nothing_says_so(api: TestClient, spec: Spec) -> None:
    id = api.post("/v1/jobs", json=spec).json()["id"]
    refused = api.get(f"/v1/jobs/{id}/confirmation")
    assert (refused.status_code, "`confirm`" in refused.json()["detail"]) == (404, True)


def test_metrics_that_confirmations_alone_measure_are_in_the_report(
    job_id: str, worker: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = {"type": "http", "name": "helpful", "url": "http://127.0.0.1/score", "confirm_only": True}
    task = CausalLMSpec.model_validate({"model": "m", "train": "t", "generation": {"metrics": []}, "judges": [judge]})
    assert [metric.name for metric in task.confirmed_metrics()] == ["helpful"]
    assert task.judged_metrics() == ()
    monkeypatch.setattr(TypeSection, "confirmed_metrics", lambda _self: task.confirmed_metrics())
    trial = worker.store.get_trial(f"{job_id}-7")
    for seed, value in enumerate((0.25, 0.75)):
        (again,) = worker.store.add_trials(job_id, [NewTrial(trial.config, "confirmation", seed, None, trial.id)])
        claimed = worker.store.claim_trial(job_id, f"again-{seed}", 60, again.id)
        metrics = {"accuracy": 0.8, "helpful": value}
        worker.store.finish_trial(
            Outcome(trial_id=again.id, attempt=claimed.attempt, status="completed", metrics=metrics)
        )
    (item,) = report(Desk(worker.store, settings), job_id, 0.9).items  # here: what is patched is so in this process
    found = {one.metric: one for one in item.objectives}["helpful"]
    assert (found.searched, found.promised, found.kept, found.gain) == (None, None, None, None)
    assert found.confirmed is not None
    assert (found.confirmed.value, found.seeds) == (0.5, 2)

"""What is kept between decisions is what the store would tell if it were read again."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.search.outside_scheduling import OutsideScheduling
from service.jobs.search.spec import JobSpec
from service.store.records import NewTrial
from service.store.store import Store
from workers.assignment import Outcome, Report


@pytest.fixture
def job_id(store: Store, spec: dict[str, Any]) -> str:
    """A running search under ASHA."""
    budget = {"trials": 30, "epochs": 8}
    document = JobSpec.model_validate(
        {**spec, "budget": budget, "scheduler": {"name": "asha"}, "resources": {"executor": "external"}}
    ).model_dump(mode="json")
    job = store.create_job("asha", document)
    store.lease_job("c", 600)
    return job.id


def _config(number: int) -> dict[str, Any]:
    return {"method": "lora", "rank": number + 1, "targets": "qv", "learning_rate": 1e-3}


def _report(store: Store, trial: Any, epoch: int, accuracy: float) -> None:
    given = {"trial_id": trial.id, "attempt": trial.attempt}
    metrics = {"accuracy": accuracy, "loss": 1 - accuracy, "trainable_params": 100.0}
    store.add_report(Report(**given, step=epoch, epoch=epoch, seconds=epoch, metrics=metrics))


def test_decisions_are_those_of_a_fresh_reading(store: Store, job_id: str) -> None:
    kept, decided = OutsideScheduling(store), []
    for number in range(12):
        store.add_trials(job_id, [NewTrial(_config(number), "optimizer", number)])
        trial = store.claim_trial(job_id, f"w{number}", 600)
        assert trial is not None
        for epoch in (1, 2, 4):
            _report(store, trial, epoch, (number * 7 % 12) / 12 + epoch / 100)
            job = store.get_job(job_id)
            fresh = OutsideScheduling(store).decide(job, trial.id)
            assert kept.decide(job, trial.id) == fresh
            decided.append(fresh)
        if number == 5:  # lost and begun again: its curve is replaced from there on
            store.requeue_trial(trial.id, trial.attempt, "lost")
    assert {"stop", "continue"} <= set(decided)


def test_a_decision_reads_only_what_is_new(store: Store, job_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add_trials(job_id, [NewTrial(_config(n), "optimizer", n) for n in range(2)])
    kept, trial = OutsideScheduling(store), store.claim_trial(job_id, "w", 600)
    assert trial is not None
    _report(store, trial, 1, 0.5)
    kept.decide(store.get_job(job_id), trial.id)
    for whole in ("searched_trials", "job_reports"):
        monkeypatch.setattr(store, whole, lambda *_: pytest.fail("everything was read again"))
    _report(store, trial, 2, 0.6)
    assert kept.decide(store.get_job(job_id), trial.id) in {"continue", "stop"}


def test_a_job_that_is_over_stops_and_confirmations_go_on(store: Store, job_id: str) -> None:
    kept = OutsideScheduling(store)
    (trial,) = store.add_trials(job_id, [NewTrial(_config(1), "optimizer", 1)])
    claimed = store.claim_trial(job_id, "w", 600)
    assert claimed is not None
    store.finish_trial(Outcome(trial_id=trial.id, attempt=1, status="completed", metrics={"accuracy": 0.5}))
    (confirming,) = store.add_trials(job_id, [NewTrial(_config(1), "confirmation", 2, confirms=trial.id)])
    assert kept.decide(store.get_job(job_id), confirming.id) == "continue"
    assert kept.decide(store.set_job_state(job_id, "cancelled"), confirming.id) == "stop"

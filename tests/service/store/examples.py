"""What the store tests store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from service.store.records import Job, NewTrial, Trial
from service.store.store import Store
from workers.assignment import Outcome, Report

SPEC: dict[str, Any] = {
    "name": "example",
    "objectives": [
        {"metric": "accuracy", "direction": "maximize"},
        {"metric": "trainable_params", "direction": "minimize"},
    ],
    "constraints": [{"metric": "latency_ms", "max": 20}],
    "resources": {"max_attempts": 3},
}


class ManualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def suggestions(n: int, first: int = 0) -> list[NewTrial]:
    """Trials that can be told apart by their rank."""
    return [NewTrial({"method": "lora", "rank": first + i}, "optimizer", seed=first + i) for i in range(n)]


def running_job(store: Store, trials: int = 0, **changes: Any) -> Job:
    """A job that a conductor holds, with queued trials."""
    created = store.create_job("example", {**SPEC, **changes})
    job = store.set_job_state(created.id, "running")
    store.add_trials(job.id, suggestions(trials))
    return store.get_job(job.id)


def claimed(store: Store, job_id: str, worker: str = "worker", ttl: float = 60) -> Trial:
    """The next trial of the job, claimed."""
    trial = store.claim_trial(job_id, worker, ttl)
    assert trial is not None
    return trial


def report(trial: Trial, step: int, **metrics: float) -> Report:
    """A report of the trial's current attempt."""
    values = metrics or {"accuracy": 0.1 * step}
    return Report(
        trial_id=trial.id, attempt=trial.attempt, step=step, epoch=step / 10, seconds=float(step), metrics=values
    )


def outcome(trial: Trial, accuracy: float = 0.5, params: float = 100, **changes: Any) -> Outcome:
    """A feasible completion of the trial's current attempt."""
    metrics = {"accuracy": accuracy, "trainable_params": params, "latency_ms": 10.0}
    given = {"trial_id": trial.id, "attempt": trial.attempt, "status": "completed", "metrics": metrics, **changes}
    return Outcome(**given)


def completed(store: Store, job_id: str, accuracy: float, params: float, **changes: Any) -> Trial:
    """Suggest, claim and complete one trial."""
    (new,) = store.add_trials(job_id, suggestions(1))
    trial = store.claim_trial(job_id, new.id, 60, trial_id=new.id)
    assert trial is not None
    return store.finish_trial(outcome(trial, accuracy, params, **changes))

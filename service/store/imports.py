"""Trials that were measured elsewhere: they enter a search completed, and its budget grows by as many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from service.errors import Conflict
from service.store.jobs import extend_job
from service.store.records import Job, NewTrial, Trial
from service.store.results import finish_trial
from service.store.rows import TRIALS, count_changes, lock_job
from service.store.states import JOB_OVER
from service.store.trials import append_trials
from workers.assignment import Outcome

Measured = tuple[Mapping[str, Any], Mapping[str, float]]
"""A configuration and its metrics."""

WORKER = "import"


def check_open(job: Job) -> None:
    """Raise Conflict when the job takes no trials."""
    if job.state in JOB_OVER:
        raise Conflict(f"job {job.id} is {job.state}: extend it before you add trials to it")


def import_trials(
    connection: Connection, job_id: str, measured: Sequence[Measured], now: datetime
) -> tuple[Trial, ...]:
    """Add the trials to a job that is not over, in one transaction with the front. Raises NotFound and Conflict."""
    job = lock_job(connection, job_id)
    check_open(job)
    if not measured:
        return ()
    budget = job.spec["budget"]
    extend_job(connection, job_id, job.spec | {"budget": budget | {"trials": budget["trials"] + len(measured)}}, now)
    added = append_trials(connection, job_id, [NewTrial(dict(config), "import", 0) for config, _ in measured], now)
    begun = {"state": "running", "attempt": 1, "worker_id": WORKER, "started_at": now}
    connection.execute(update(TRIALS).where(TRIALS.c.id.in_([trial.id for trial in added])).values(begun))
    count_changes(connection, job_id, {"queued": -len(added), "running": len(added)})
    outcomes = (
        Outcome(trial_id=trial.id, attempt=1, status="completed", metrics=dict(metrics))
        for trial, (_, metrics) in zip(added, measured, strict=True)
    )
    return tuple(finish_trial(connection, outcome, now) for outcome in outcomes)

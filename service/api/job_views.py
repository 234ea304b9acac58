"""Jobs as the API shows them: with their progress, the time left and the best values so far."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.api.views import JobView, ProgressView, objectives_of
from service.jobspecs.kinds import kind_of
from service.store.records import Job
from service.store.states import TRIAL_OVER
from service.store.store import Store


def view_job(job: Job, store: Store, now: datetime) -> JobView:
    """The public form of a stored job at the time `now`."""
    return JobView(
        id=job.id,
        name=job.name,
        state=job.state,
        reason=job.reason,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        spec=job.spec,
        progress=progress(job, now),
        front_size=job.front_size,
        best=best_values(job, store),
        objectives=objectives_of(job),
    )


def progress(job: Job, now: datetime) -> ProgressView:
    """Trials by state and an estimate of the time left."""
    return ProgressView(trials_total=trials_total(job), seconds_left=seconds_left(job, now), **job.counts)


def trials_total(job: Job) -> int:
    """Trials the job will have in the end: its budget, and beyond it the confirmations as soon as they are known. A job
    that follows a plan queues the trials of a stage at once."""
    budget: int = job.spec["budget"]["trials"] if kind_of(job.spec) == "search" else 0
    return max(budget, sum(job.counts.values()))


def seconds_left(job: Job, now: datetime) -> float | None:
    """At the pace so far, bounded by what is left of the wall clock; None before a trial has ended or while paused."""
    ended = sum(job.counts[state] for state in TRIAL_OVER)
    if job.state not in {"queued", "running"} or job.started_at is None or not ended:
        return None
    elapsed = (now - job.started_at).total_seconds()
    budget: Mapping[str, Any] = job.spec.get("budget", {})
    left: float = elapsed / ended * max(trials_total(job) - ended, 0)
    limit: float | None = budget.get("wall_clock")
    return max(left if limit is None else min(left, limit - elapsed), 0.0)


def best_values(job: Job, store: Store) -> dict[str, float]:
    """The best value of each objective. The front holds each: nobody is pushed off it by something worse."""
    if not job.front_size:
        return {}
    front = store.front(job.id)
    pick = {"maximize": max, "minimize": min}
    return {
        one["metric"]: pick[one["direction"]](trial.metrics[one["metric"]] for trial in front)
        for one in job.spec["objectives"]
        if front
    }

"""Jobs as the API shows them: with their progress, the time left and the trial that leads."""

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
        **leading(job, store),
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


def leading(job: Job, store: Store) -> dict[str, Any]:
    """`best_trial`, the trial of the front that leads by the first objective, and its objectives as `best`: what one
    trial reached, never the best accuracy of one beside the smallest size of another."""
    front = store.front(job.id) if job.front_size else ()
    if not front:
        return {"best_trial": None, "best": {}}
    leader = front[0]
    return {
        "best_trial": leader.id,
        "best": {one["metric"]: leader.metrics[one["metric"]] for one in job.spec["objectives"]},
    }

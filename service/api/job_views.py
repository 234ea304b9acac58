"""Jobs as the API shows them: with their progress, the time left and the trial that leads."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from service.api.views import ConfirmingView, JobView, ProgressView, objectives_of
from service.jobs.kinds import kind_of
from service.store.records import Job
from service.store.states import JOB_OVER, TRIAL_OVER, TRIAL_STATES
from service.store.store import Store


def view_job(job: Job, store: Store, now: datetime) -> JobView:
    """The public form of a stored job at the time `now`."""
    return JobView(
        id=job.id,
        name=job.name,
        project=job.project,
        state=job.state,
        reason=job.reason,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        spec=job.spec,
        progress=progress(job, store, now),
        front_size=job.front_size,
        **leading(job, store),
        objectives=objectives_of(job),
        tags=job.tags,
        note=job.note,
    )


def progress(job: Job, store: Store, now: datetime) -> ProgressView:
    """Trials of the search by state, its confirmations, and how far all of them have come together."""
    again = store.confirmations(job.id) if job.spec.get("confirm") else ()
    counts = Counter(job.counts) - Counter(trial.state for trial in again)
    by_state = {state: counts[state] for state in TRIAL_STATES}
    confirmed = sum(trial.state in TRIAL_OVER for trial in again)
    total = max(_budget(job), sum(by_state.values()))
    done = sum(by_state[state] for state in TRIAL_OVER) + confirmed + begun(job, store)
    share = 1.0 if job.state == "completed" else min(1.0, done / max(1, total + len(again)))
    return ProgressView(
        trials_total=total,
        share=share,
        confirmations=ConfirmingView(total=len(again), done=confirmed) if again else None,
        seconds_left=_seconds_left(job, share, now),
        **by_state,
    )


def _budget(job: Job) -> int:
    """Trials that a search will have in the end; a job that follows a plan queues the trials of a stage at once."""
    return int(job.spec["budget"]["trials"]) if kind_of(job.spec) == "search" else 0


def begun(job: Job, store: Store) -> float:
    """What open trials have done of their training, in trials; 0 for a job that is over."""
    if job.state in JOB_OVER:
        return 0.0
    epochs = float(job.spec["budget"]["epochs"]) if kind_of(job.spec) == "search" else 1.0
    return sum(min(1.0, epoch / epochs) for epoch in store.epochs_under_way(job.id))


def _seconds_left(job: Job, share: float, now: datetime) -> float | None:
    """At the pace so far, bounded by what is left of the wall clock; None before a report and while paused."""
    if job.state not in {"queued", "running"} or job.started_at is None or not share:
        return None
    elapsed = (now - job.started_at).total_seconds()
    left = elapsed * (1 / share - 1)
    limit: float | None = job.spec.get("budget", {}).get("wall_clock")
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

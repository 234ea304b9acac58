"""What earlier jobs found, for a task to come: read by `recommend`, and handed to optimizers that begin with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from optimizers.problem import CompletedTrial, PastJob
from predictors.transfer import LEAST_TRIALS, RELEVANT, Task
from service.jobs.kinds import kind_of
from service.jobs.search.spec import JobSpec
from service.store.records import Job, Trial
from service.store.store import Store
from workers.errors import InvalidInput
from workers.models.description import ModelDescription, describe
from workers.tasks.section import TaskSection

PAGE = 200
MOST_JOBS = 1000
MOST_TRIALS = 1000
"""Trials of a past job that are looked at beside its front: more tell no more, and a job may have 50,000."""
HANDED_OVER = 8
"""Past jobs that an optimizer is given, the most alike ones."""
TRIALS_EACH = 50
"""Trials of each: those on its front first, then the newest."""


def task_of(kind: str, model: ModelDescription, rows: float | None, length: float | None) -> Task:
    """What is cheap to know about a task on a model; `rows` and `length` (tokens) are of the training data."""
    return Task(type=kind, rows=rows, length=length, width=model.shape.hidden_size, depth=model.shape.layers)


def with_results(store: Store, project: str | None) -> Iterator[tuple[Job, Task]]:
    """The jobs of a project (None: of all) that have completed trials, newest first; the newest thousand are looked at.

    Jobs whose model is gone are left out: nothing can be said about their likeness.
    """
    cursor: str | None = None
    for _ in range(MOST_JOBS // PAGE):
        page = store.list_jobs(cursor, PAGE, project)
        for job in page.items:
            if job.counts.get("completed") and kind_of(job.spec) == "search":
                try:
                    yield job, _task(job)
                except InvalidInput:
                    continue
        cursor = page.next_cursor
        if cursor is None:
            return


def completed(store: Store, job_id: str) -> list[Trial]:
    """The completed trials of a job's search, by number: those of its front and the newest thousand."""
    trials = {trial.id: trial for trial in (*store.front(job_id), *store.newest_completed(job_id, MOST_TRIALS))}
    return sorted(trials.values(), key=lambda trial: trial.number)


def alike(store: Store, job: Job) -> tuple[PastJob, ...]:
    """What an optimizer of `job` may learn from: jobs that were over before it was submitted, the most alike first.

    Jobs that end later do not count, so the answer is the same after every restart of the service.
    """
    task = _task(job)
    weighed = [
        (task.weight(other), past)
        for past, other in with_results(store, job.project)
        if _over_before(past, job.created_at) and past.counts["completed"] >= LEAST_TRIALS
    ]
    near = sorted((one for one in weighed if one[0] >= RELEVANT), key=lambda one: (-one[0], one[1].id))
    return tuple(PastJob(past.id, weight, _handed_over(store, past.id)) for weight, past in near[:HANDED_OVER])


def _over_before(past: Job, moment: datetime) -> bool:
    return past.finished_at is not None and past.finished_at <= moment


def _handed_over(store: Store, job_id: str) -> tuple[CompletedTrial, ...]:
    trials = sorted(completed(store, job_id), key=lambda trial: (not trial.on_front, -trial.number))
    return tuple(CompletedTrial(trial.id, trial.config, trial.metrics) for trial in trials[:TRIALS_EACH])


def _task(job: Job) -> Task:
    task = JobSpec.model_validate(job.spec).task
    if not isinstance(task, TaskSection):
        return Task(type=task.likeness())
    return task_of(task.type, describe(task.model), task.train_rows, task.max_length)

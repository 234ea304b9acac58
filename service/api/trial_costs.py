"""What the trials of a job to come will cost, from trials of the same model that ran here; nothing where none has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from service.api.views import View
from service.jobs.search.spec import JobSpec
from service.jobs.told_counts import count_told
from service.store.records import Job, Trial
from service.store.store import Store
from workers.errors import InvalidInput
from workers.hyperparameters import split_config

JOBS = 50
"""Newest jobs that are looked through for one with the same model and type of task."""
ALIKE = 3
TRIALS = 12
"""Jobs alike, and newest trials of each, that are measured by."""
SPREAD = (0.25, 0.75)


class CostView(View):
    """Training time of a whole job on one worker, from a quarter to three quarters of the trials alike, and memory."""

    trials: int
    seconds_low: float
    seconds_high: float
    memory_mb: float | None = Field(description="the most that training added to the base, MiB")
    measured: int = Field(description="trials of the same model that this rests on")
    jobs: list[str] = Field(description="the jobs that they belong to")


def costs_of(spec: JobSpec, rows: int, store: Store, project: str | None) -> CostView | None:
    """The costs of a job on `rows` training rows; None where no trial of its model and type of task has run."""
    pairs = [
        (job, trial)
        for job in _alike(spec, store, project)
        for trial in store.newest_completed(job.id, TRIALS)
        if trial.metrics.get("train_seconds")
    ]
    per_row = [rate for _, trial in pairs if (rate := _seconds_per_row(trial, store)) is not None]
    if not per_row:
        return None
    low, high = np.quantile(per_row, SPREAD) * rows * spec.budget.epochs * spec.budget.trials
    memory = [trial.metrics["peak_memory_mb"] for _, trial in pairs if "peak_memory_mb" in trial.metrics]
    return CostView(
        trials=spec.budget.trials,
        seconds_low=float(low),
        seconds_high=float(high),
        memory_mb=max(memory, default=None),
        measured=len(per_row),
        jobs=list(dict.fromkeys(job.id for job, _ in pairs)),
    )


def _alike(spec: JobSpec, store: Store, project: str | None) -> Iterator[Job]:
    wanted = (spec.task.type, getattr(spec.task, "model", None))
    found = 0
    for job in store.list_jobs(None, JOBS, project).items:
        task = job.spec.get("task") or {}
        if found < ALIKE and job.counts.get("completed") and (task.get("type"), task.get("model")) == wanted:
            found += 1
            yield job


def _seconds_per_row(trial: Trial, store: Store) -> float | None:
    """Training time of one row: by the rows of the data and the passes over them, or, of a trial that does not tell
    the former, by the batches of rows that its steps were made of. None where neither tells, as tokens were counted."""
    last = max(store.reports(trial.id), key=lambda report: report.step, default=None)
    if last is None or last.step <= 0:
        return None
    seconds, rows = trial.metrics["train_seconds"], count_told(trial.environment, "train_rows")
    if rows > 0 and last.epoch > 0:
        return seconds / (last.epoch * rows)
    try:
        _, _, chosen = split_config(trial.config)
    except InvalidInput:
        return None
    counted = chosen.batch_tokens or chosen.packing != "none"
    return None if counted else seconds / (last.step * chosen.batch_size * chosen.gradient_accumulation)

"""What an outside worker does after a report: what the job's scheduler decides, from stored reports alone."""

from __future__ import annotations

import json
from functools import lru_cache

from optimizers.problem import Problem
from optimizers.schedulers.contract import Curve, Point
from optimizers.schedulers.registry import scheduler
from service.jobspec import JobSpec
from service.problem import build_problem
from service.store.records import Job, StoredReport, Trial
from service.store.states import JOB_OVER
from service.store.store import Store
from workers.assignment import Decision


def decide(job: Job, trial_id: str, store: Store) -> Decision:
    """Stop when the job is over, else what its scheduler says. A paused job lets running trials go on to their end."""
    if job.state in JOB_OVER:
        return "stop"
    spec = JobSpec.model_validate(job.spec)
    if spec.scheduler.name == "none":
        return "continue"
    curves = _curves(store.all_trials(job.id), store.job_reports(job.id))
    chosen = scheduler(spec.scheduler.name, **spec.scheduler.options)
    return chosen.decide(trial_id, curves, _problem(json.dumps(job.spec, sort_keys=True)), spec.budget.epochs)


def _curves(trials: tuple[Trial, ...], reports: tuple[StoredReport, ...]) -> dict[str, Curve]:
    """The learning curve of every trial that has reported in its latest attempt."""
    points: dict[str, list[Point]] = {}
    current = {trial.id: trial for trial in trials}
    for report in reports:
        if report.trial_id in current and report.attempt == current[report.trial_id].attempt:
            points.setdefault(report.trial_id, []).append(Point(report.epoch, report.metrics))
    return {id: Curve(tuple(curve), current[id].config) for id, curve in points.items()}


@lru_cache(maxsize=16)
def _problem(spec: str) -> Problem:
    return build_problem(JobSpec.model_validate_json(spec))

"""What an outside worker does after a report: what the job's scheduler decides, from stored reports alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache

from optimizers.problem import Problem
from optimizers.schedulers.contract import Point
from service.jobs.kinds import kind_of
from service.jobs.search import scheduling
from service.jobs.search.problem import build_problem
from service.jobs.search.spec import JobSpec
from service.store.records import Job, StoredReport, Trial
from service.store.states import JOB_OVER
from service.store.store import Store
from workers.assignment import Decision


def decide(job: Job, trial_id: str, store: Store) -> Decision:
    """Stop when the job is over, else what its scheduler says. A paused job lets running trials go on to their end."""
    if job.state in JOB_OVER:
        return "stop"
    if kind_of(job.spec) != "search":
        return "continue"  # planned trials run to their end
    spec = JobSpec.model_validate(job.spec)
    if spec.scheduler.name == "none":
        return "continue"
    trials = {trial.id: trial for trial in store.searched_trials(job.id)}
    if trial_id not in trials:
        return "continue"  # a confirmation is measured at its end and rivals nobody
    problem = _problem(json.dumps(job.spec, sort_keys=True))
    return scheduling.decide(spec, problem, trial_id, trials, _points(trials, store.job_reports(job.id)))


def _points(trials: Mapping[str, Trial], reports: Iterable[StoredReport]) -> dict[str, list[Point]]:
    """The learning curve of every trial that has reported; `reports` are by trial, attempt and step."""
    points: dict[str, list[Point]] = {}
    attempts: dict[str, int] = {}
    for report in reports:
        if report.trial_id in trials:
            further = report.attempt > attempts.get(report.trial_id, report.attempt)
            point = Point(report.epoch, report.metrics)
            points[report.trial_id] = scheduling.joined(points.get(report.trial_id, ()), point, further)
            attempts[report.trial_id] = report.attempt
    return points


@lru_cache(maxsize=16)
def _problem(spec: str) -> Problem:
    return build_problem(JobSpec.model_validate_json(spec))

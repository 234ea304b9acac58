"""Stored trials -> the history that an optimizer sees: nothing but the database is needed to go on after a crash."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from optimizers.problem import (
    CompletedTrial,
    Config,
    FailedTrial,
    History,
    PastJob,
    PendingTrial,
    Problem,
    StoppedTrial,
)
from service.store.records import Trial
from workers.running.ranks import served

T = TypeVar("T")


def history(
    trials: Iterable[Trial], problem: Problem, epochs: Mapping[str, float], implied: Mapping[str, Any] | None = None
) -> History:
    """Sort `trials` by what they prove about `problem`; `epochs` tells how far each stopped trial got.

    Trials from before a change of the space are carried over; `implied` values stand for parameters added since. What
    has no place in the space (the head-only reference of a LoRA search, what was narrowed away) stays as it is: it
    holds its place on the front. A completed trial that lacks an objective is evidence of failure.
    """
    space = problem.space
    ordered = [
        (trial, space.carry_over(trial.config, implied) or trial.config)
        for trial in sorted(trials, key=lambda trial: trial.number)
    ]
    return History(
        completed=tuple(
            shown
            for trial, config in ordered
            if trial.state == "completed" and not _unmeasured(trial.metrics, problem)
            for shown in (CompletedTrial(trial.id, config, trial.metrics), *_at_lower_ranks(trial, config, problem))
        ),
        stopped=tuple(
            StoppedTrial(trial.id, config, trial.metrics, epochs.get(trial.id, 0.0))
            for trial, config in ordered
            if trial.state == "stopped"
        ),
        failed=tuple(
            FailedTrial(trial.id, config, trial.reason or _unmeasured(trial.metrics, problem))
            for trial, config in ordered
            if trial.state == "failed" or (trial.state == "completed" and _unmeasured(trial.metrics, problem))
        ),
        pending=tuple(
            PendingTrial(trial.id, config)
            for trial, config in ordered
            if trial.state in ("queued", "running", "paused")
        ),
    )


def _at_lower_ranks(trial: Trial, config: Config, problem: Problem) -> Iterator[CompletedTrial]:
    """What the trial shows about configurations of lower rank, as far as that answers the problem."""
    for number, (lower, metrics) in enumerate(served(config, trial.metrics)):
        if problem.space.contains(lower):
            whole = metrics | {metric: formula(lower) for metric, formula in problem.known.items()}
            if not _unmeasured(whole, problem) and all(rule.metric in whole for rule in problem.constraints):
                yield CompletedTrial(f"{trial.id}@{number}", lower, whole)


def _unmeasured(metrics: Mapping[str, float], problem: Problem) -> str:
    """Why a completed trial is no evidence; empty when every objective is a finite number."""
    for objective in problem.objectives:
        if not math.isfinite(metrics.get(objective.metric, math.nan)):
            return f"unmeasured: {objective.metric} is missing or not finite"
    return ""


def to_json(evidence: History) -> dict[str, Any]:
    """The JSON form of a history, as the proposer's process receives it."""
    return asdict(evidence)


def from_json(value: Mapping[str, Any]) -> History:
    """The inverse of `to_json`."""
    return History(
        completed=_read(CompletedTrial, value["completed"]),
        stopped=_read(StoppedTrial, value["stopped"]),
        failed=_read(FailedTrial, value["failed"]),
        pending=_read(PendingTrial, value["pending"]),
        past=tuple(PastJob(job["id"], job["likeness"], _read(CompletedTrial, job["trials"])) for job in value["past"]),
        budget_left=value["budget_left"],
    )


def _read(kind: Callable[..., T], rows: list[dict[str, Any]]) -> tuple[T, ...]:
    return tuple(kind(**row) for row in rows)

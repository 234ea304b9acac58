"""Stored trials -> the history that an optimizer sees: nothing but the database is needed to go on after a crash."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from optimizers.problem import CompletedTrial, FailedTrial, History, PastJob, PendingTrial, Problem, StoppedTrial
from service.store.records import Trial

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
            CompletedTrial(trial.id, config, trial.metrics)
            for trial, config in ordered
            if trial.state == "completed" and not _unmeasured(trial, problem)
        ),
        stopped=tuple(
            StoppedTrial(trial.id, config, trial.metrics, epochs.get(trial.id, 0.0))
            for trial, config in ordered
            if trial.state == "stopped"
        ),
        failed=tuple(
            FailedTrial(trial.id, config, trial.reason or _unmeasured(trial, problem))
            for trial, config in ordered
            if trial.state == "failed" or (trial.state == "completed" and _unmeasured(trial, problem))
        ),
        pending=tuple(
            PendingTrial(trial.id, config)
            for trial, config in ordered
            if trial.state in ("queued", "running", "paused")
        ),
    )


def _unmeasured(trial: Trial, problem: Problem) -> str:
    """Why a completed trial is no evidence; empty when every objective is a finite number."""
    for objective in problem.objectives:
        if not math.isfinite(trial.metrics.get(objective.metric, math.nan)):
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

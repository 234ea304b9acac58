"""Configurations for a new task from past jobs: what did well where the task and the model were alike.

A past job is described by what is cheap to know (rows, text length, width and depth of the model). Its trials
are ranked among themselves, because accuracies of different tasks do not compare; a configuration's expected rank is
the average over jobs, weighted by nearness. Nothing leaves the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Config = Mapping[str, Any]
Floats = NDArray[np.float64]
# A factor of four in rows, two in length or width and 1.5 in depth make two tasks as different as "one step".
STEPS = {"rows": math.log(4), "length": math.log(2), "width": math.log(2), "depth": math.log(1.5)}
RELEVANT = math.exp(-2.0)  # least weight of a past job that is worth asking
LEAST_TRIALS = 4


@dataclass(frozen=True)
class Task:
    """Cheap facts about a task and its model; None where unknown. Rows and length are of the training data."""

    rows: float | None = None
    length: float | None = None  # tokens
    width: float | None = None
    depth: float | None = None

    def weight(self, other: Task) -> float:
        """Nearness from 0 to 1; facts that either side lacks count as one step apart."""
        distances = []
        for name, step in STEPS.items():
            mine, theirs = getattr(self, name), getattr(other, name)
            distances.append(1.0 if mine is None or theirs is None else abs(math.log(mine / theirs)) / step)
        return math.exp(-0.5 * float(np.mean(np.square(distances))))


@dataclass(frozen=True)
class PastTrial:
    """A completed trial and what it measured."""

    id: str
    config: Config
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class PastJob:
    """The completed trials of a job and what its task was like."""

    id: str
    task: Task
    trials: tuple[PastTrial, ...]


@dataclass(frozen=True)
class Suggestion:
    """A configuration, how good it is expected to be, and what that rests on.

    `standing` is the expected share of other configurations that it beats, between `low` and `high` over the jobs.
    `expected` holds each metric's weighted mean and range over the trials that it rests on.
    """

    config: dict[str, Any]
    standing: float
    low: float
    high: float
    expected: dict[str, tuple[float, float, float]]
    trials: tuple[str, ...]


def recommend(
    task: Task,
    jobs: Sequence[PastJob],
    objective: str,
    maximize: bool,
    count: int,
    allowed: Callable[[PastTrial], bool] = lambda _trial: True,
) -> tuple[Suggestion, ...]:
    """The `count` best configurations of past jobs that are near enough, best first; none when no job is relevant.

    Args:
        objective: the metric to rank by.
        allowed: whether a trial satisfies the constraints of the new task.
    """
    relevant = [(job, task.weight(job.task)) for job in jobs if len(_measured(job, objective)) >= LEAST_TRIALS]
    evidence: dict[str, list[tuple[PastTrial, float, float]]] = {}
    for job, weight in relevant:
        if weight < RELEVANT:
            continue
        for trial, share in _shares(_measured(job, objective), objective, maximize):
            if allowed(trial):
                evidence.setdefault(_key(trial.config), []).append((trial, weight, share))
    found = [_suggestion(rows) for rows in evidence.values()]
    return tuple(sorted(found, key=lambda one: -one.standing)[:count])


def _measured(job: PastJob, objective: str) -> list[PastTrial]:
    return [trial for trial in job.trials if math.isfinite(trial.metrics.get(objective, math.nan))]


def _shares(trials: Sequence[PastTrial], objective: str, maximize: bool) -> list[tuple[PastTrial, float]]:
    """Each trial with the share of its job's other trials that it beats; ties count half."""
    sign = 1.0 if maximize else -1.0
    values = np.array([sign * trial.metrics[objective] for trial in trials])
    beaten = (values[:, None] > values).sum(axis=1) + 0.5 * ((values[:, None] == values).sum(axis=1) - 1)
    return list(zip(trials, map(float, beaten / (len(values) - 1)), strict=True))


def _suggestion(rows: Sequence[tuple[PastTrial, float, float]]) -> Suggestion:
    """Shrunk towards the middle by one pseudo-observation: one good run is weaker evidence than three."""
    weights, shares = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    total = weights.sum() + 0.25
    mean = float((weights @ shares + 0.25 * 0.5) / total)
    spread = math.sqrt(float((weights @ (shares - mean) ** 2 + 0.25 * 0.25) / total) / len(rows))
    names = set.intersection(*(set(row[0].metrics) for row in rows))
    expected = {}
    for name in sorted(names):
        values = np.array([row[0].metrics[name] for row in rows])
        expected[name] = (float(weights @ values / weights.sum()), float(values.min()), float(values.max()))
    ids = tuple(row[0].id for row in sorted(rows, key=lambda row: -row[1]))
    low, high = max(0.0, mean - 1.645 * spread), min(1.0, mean + 1.645 * spread)
    return Suggestion(dict(rows[0][0].config), mean, low, high, expected, ids)


def _key(config: Config) -> str:
    """Configurations that print the same to three digits are one."""
    return repr(sorted((name, f"{value:.3g}" if isinstance(value, float) else value) for name, value in config.items()))


def plain(suggestion: Suggestion) -> dict[str, Any]:
    """For JSON: tuples of a metric become value, low and high."""
    expected = {
        name: {"value": value, "low": low, "high": high} for name, (value, low, high) in suggestion.expected.items()
    }
    return asdict(suggestion) | {"expected": expected, "trials": list(suggestion.trials)}

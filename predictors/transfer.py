"""Configurations for a new task from past jobs: what did well where the task and the model were alike.

A past job is described by what is cheap to know (rows, text length, width and depth of the model). Accuracies of
different tasks do not compare, so the trials of a job are ranked among themselves and their ranks turned into normal
scores. One Gaussian process for each job says how any configuration would have ranked there, also one that it never
ran; the forecasts are averaged by nearness. Nothing leaves the machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from predictors.config_features import encode
from predictors.gaussian_process import fit_gaussian_process

Config = Mapping[str, Any]
Floats = NDArray[np.float64]
# A factor of four in rows, two in length or width and 1.5 in depth make two tasks as different as "one step".
STEPS = {"rows": math.log(4), "length": math.log(2), "width": math.log(2), "depth": math.log(1.5)}
RELEVANT = math.exp(-2.0)  # least weight of a past job that is worth asking
LEAST_TRIALS = 4
MOST_JOBS = 12  # the most alike ones
MOST_TRIALS = 60  # of a job: the best, and an even selection of the others
DOUBT = 0.25  # weight of the assumption that a configuration is like any other


@dataclass(frozen=True)
class Task:
    """Cheap facts about a task and its model; None where unknown. Rows and length are of the training data."""

    rows: float | None = None
    length: float | None = None  # tokens
    width: float | None = None
    depth: float | None = None
    type: str | None = None

    def weight(self, other: Task) -> float:
        """Nearness from 0 to 1; facts that either side lacks count as one step apart.

        Types of task are not alike at all: what their metrics say of a configuration does not compare. Images have no
        tokens to count, so that a length of zero is a fact, and as far from any other as what is unknown.
        """
        if self.type != other.type:
            return 0.0
        distances = [_steps_apart(getattr(self, name), getattr(other, name), step) for name, step in STEPS.items()]
        return math.exp(-0.5 * float(np.mean(np.square(distances))))


def _steps_apart(mine: float | None, theirs: float | None, step: float) -> float:
    if mine is not None and mine == theirs:
        return 0.0
    return abs(math.log(mine / theirs)) / step if mine and theirs else 1.0


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
    `expected` holds each metric's mean and range in one job, the most alike one that ran the configuration: accuracies
    of tasks with 4 and with 77 classes have no mean, nor have sizes on two models.
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
    weighed = [(task.weight(job.task), job) for job in jobs if len(_measured(job, objective)) >= LEAST_TRIALS]
    near = sorted((one for one in weighed if one[0] >= RELEVANT), key=lambda one: -one[0])[:MOST_JOBS]
    evidence: dict[str, dict[str, list[PastTrial]]] = {}  # by configuration and job, the most alike job first
    for _, job in near:
        for trial in filter(allowed, _measured(job, objective)):
            evidence.setdefault(_key(trial.config), {}).setdefault(job.id, []).append(trial)
    if not evidence:
        return ()
    rows = [list(by_job.values()) for by_job in evidence.values()]
    candidates = [by_job[0][0].config for by_job in rows]
    weights = np.array([weight for weight, _ in near])
    forecasts = [_forecast(_scored(job, objective, maximize), candidates) for _, job in near]
    mean, spread = _average(weights, np.array([one[0] for one in forecasts]), np.array([one[1] for one in forecasts]))
    order = np.argsort(-mean)[:count]
    return tuple(_suggestion(rows[index], float(mean[index]), float(spread[index])) for index in order)


def _measured(job: PastJob, objective: str) -> list[PastTrial]:
    return [trial for trial in job.trials if math.isfinite(trial.metrics.get(objective, math.nan))]


def _scored(job: PastJob, objective: str, maximize: bool) -> list[tuple[Config, float]]:
    """Configurations with the normal score of their rank among the job's trials: the best ones and an even selection
    of the others."""
    trials = _measured(job, objective)
    sign = 1.0 if maximize else -1.0
    ranks = rankdata([sign * trial.metrics[objective] for trial in trials])
    scores = norm.ppf((ranks - 0.5) / len(trials))
    best = np.argsort(-scores, kind="stable")
    half = MOST_TRIALS // 2
    kept = best if len(best) <= MOST_TRIALS else [*best[:half], *best[half :: math.ceil((len(best) - half) / half)]]
    return [(trials[index].config, float(scores[index])) for index in kept]


def _forecast(scored: Sequence[tuple[Config, float]], candidates: Sequence[Config]) -> tuple[Floats, Floats]:
    """Mean and standard deviation `[m]` of the scores that the `candidates` would have had in a job."""
    known = [config for config, _ in scored]
    inputs = encode([*known, *candidates])
    scores = np.array([score for _, score in scored])
    process = fit_gaussian_process(inputs[: len(known)], scores)
    return process.marginal(inputs[len(known) :])  # not jointly: there may be thousands of candidates


def _average(weights: Floats, means: Floats, spreads: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation `[m]` of the jobs' forecasts `[jobs, m]`, shrunk towards the middle."""
    shares = weights / (weights.sum() + DOUBT)
    mean = shares @ means
    between = shares @ (means - mean) ** 2 + (1 - shares.sum()) * mean**2
    return mean, np.sqrt(between / max(1, len(weights) - 1) + shares**2 @ spreads**2)


def _suggestion(by_job: Sequence[Sequence[PastTrial]], score: float, spread: float) -> Suggestion:
    """A configuration with its forecast and what it was measured to reach; `by_job` has the most alike job first."""
    nearest = by_job[0]
    names = set.intersection(*(set(trial.metrics) for trial in nearest))
    expected = {}
    for name in sorted(names):
        values = [trial.metrics[name] for trial in nearest]
        expected[name] = (sum(values) / len(values), min(values), max(values))
    ids = tuple(trial.id for trials in by_job for trial in trials)
    standing, low, high = (float(norm.cdf(score + side * spread)) for side in (0.0, -1.645, 1.645))
    return Suggestion(dict(nearest[0].config), standing, low, high, expected, ids)


def _key(config: Config) -> str:
    """Configurations that print the same to three digits are one."""
    return repr(sorted((name, f"{value:.3g}" if isinstance(value, float) else value) for name, value in config.items()))


def plain(suggestion: Suggestion) -> dict[str, Any]:
    """For JSON: tuples of a metric become value, low and high."""
    expected = {
        name: {"value": value, "low": low, "high": high} for name, (value, low, high) in suggestion.expected.items()
    }
    return asdict(suggestion) | {"expected": expected, "trials": list(suggestion.trials)}

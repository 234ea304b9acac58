"""How far the best quality of a job may still be, where its trials went for trade-offs between objectives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizers import evidence as evidences
from optimizers.headroom import headroom
from optimizers.problem import CompletedTrial, History
from service.jobs.search.problem import stored_problem
from service.jobs.search.spec import JobSpec, ObjectiveSpec
from service.store.records import Trial

# Trials that are enough to tell, the best ones among them; fewer than the least tell nothing.
_BEST, _OTHERS, _LEAST = 100, 100, 6
LEVEL = 0.9


@dataclass(frozen=True)
class Prospect:
    """Of `trials` completed ones, `tradeoffs` are worse than the best in `metric` and better in another objective. A
    search for `metric` alone may still gain `expected`, and `most` is not exceeded with probability `LEVEL`."""

    metric: str
    tradeoffs: int
    trials: int
    expected: float
    most: float

    @property
    def text(self) -> str:
        """The same in a sentence or two."""
        return (
            f"{self.tradeoffs} of {self.trials} trials went for trade-offs with the other objectives. A model of them "
            f"expects that a search for {self.metric} alone gains {_short(self.expected)}, up to {_short(self.most)} "
            f"(with {LEVEL:.0%} probability). After few trials of many parameters it says too little, not too much."
        )


def prospect(spec: JobSpec, trials: Sequence[Trial], best: Trial) -> Prospect | None:
    """What is said beside the `best` trial by the first objective; None with one objective, without trade-offs, where
    the first objective is known beforehand, and while there are too few trials to tell."""
    first, *others = spec.objectives
    measured = [
        trial
        for trial in trials
        if trial.state == "completed" and all(_finite(trial, one.metric) for one in spec.objectives)
    ]
    tradeoffs = sum(
        _value(trial, first) > _value(best, first) and any(_value(trial, one) < _value(best, one) for one in others)
        for trial in measured
    )
    if not tradeoffs or len(measured) < _LEAST:
        return None
    problem = stored_problem(spec)
    told = tuple(
        CompletedTrial(trial.id, problem.space.carry_over(trial.config) or trial.config, trial.metrics)
        for trial in _telling(measured, first)
    )
    evidence = evidences.read(problem, History(told))
    if len(evidence.configs) < _LEAST or first.metric in problem.known:
        return None
    try:
        gain = headroom(problem, evidence, LEVEL, np.random.default_rng(spec.seed))
    except np.linalg.LinAlgError:
        return None  # nothing can be said without a model, and the best trial is the best all the same
    return Prospect(first.metric, tradeoffs, len(measured), gain.expected, gain.most)


def _telling(trials: Sequence[Trial], first: ObjectiveSpec) -> list[Trial]:
    """The best trials and others evenly spread over the rest: the model's cost is bounded."""
    ordered = sorted(trials, key=lambda trial: _value(trial, first))
    rest = ordered[_BEST:]
    spread = np.linspace(0, len(rest) - 1, min(_OTHERS, len(rest))).astype(int)
    return [*ordered[:_BEST], *(rest[index] for index in spread)]


def _value(trial: Trial, objective: ObjectiveSpec) -> float:
    """The objective, minimised."""
    return (-1.0 if objective.direction == "maximize" else 1.0) * trial.metrics.get(objective.metric, math.inf)


def _finite(trial: Trial, metric: str) -> bool:
    return math.isfinite(trial.metrics.get(metric, math.nan))


def _short(value: float) -> str:
    return f"{value:.2g}" if value >= 5e-5 else "nothing"

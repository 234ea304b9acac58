"""Population-based training (Jaderberg et al. 2017): who copies whom, and with which hyperparameters it goes on.

All trials of the job are one population and train in slices. When the last of a generation has paused, its worst go on
from the checkpoints of its best. The paper lets every member look at whoever is there; waiting for the generation
compares at equal steps only and makes the lineage independent of timing, so that a replay repeats it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from optimizers.errors import BadOption, UnsupportedProblem
from optimizers.problem import Config, Problem
from optimizers.schedulers.contract import (
    TOLERANCE,
    Budget,
    Curve,
    Decision,
    Exploit,
    Moves,
    Standing,
    at_slice_end,
)
from optimizers.schedulers.ranking import better_peers, comparable, minimised
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter
from search_spaces.space import Space

MUTABLE = (
    "learning_rate",
    "weight_decay",
    "dropout",
    "label_smoothing",
    "batch_size",
    "gradient_accumulation",
    "warmup_ratio",
    "schedule",
    "power_amplitude",
    "power_warmup",
    "max_grad_norm",
)
"""Hyperparameters that a checkpoint permits to change; a method, its rank or its targets are what the checkpoint is."""

SLICES = 8
"""Generations of a full budget when no interval is given."""


@dataclass(frozen=True)
class PopulationBasedTraining:
    """Truncation selection with perturbation.

    Args:
        interval: epochs of a generation; None for an eighth of the budget.
        quantile: the worst share of the population copies from the best share; at most a half.
        resample: chance that a hyperparameter is drawn anew instead of perturbed.
        factors: a numeric hyperparameter is multiplied by one of these.
        mutable: hyperparameters that may change, some of `MUTABLE`; None for all of them.
    """

    interval: float | None = None
    quantile: float = 0.25
    resample: float = 0.25
    factors: Sequence[float] = (0.8, 1.2)
    mutable: Sequence[str] | None = None
    name: ClassVar[str] = "pbt"

    def __post_init__(self) -> None:
        check_generations(self.interval, self.quantile, self.mutable)
        if not 0 <= self.resample <= 1:
            raise BadOption("resample", self.resample, "from 0 to 1")
        if len(self.factors) != 2 or not 0 < self.factors[0] < 1 < self.factors[1]:
            raise BadOption("factors", self.factors, "two numbers, one between 0 and 1 and one above 1")

    def check(self, problem: Problem, budget: Budget) -> None:
        """Raises `UnsupportedProblem` or `BadOption`."""
        check_population(self.name, problem, budget, self.interval, self.quantile, self.mutable)

    def slice(self, budget_epochs: float) -> float:
        """See `optimizers.schedulers.contract.PausingScheduler`."""
        return self.interval if self.interval is not None else budget_epochs / SLICES

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:  # noqa: ARG002
        """See `optimizers.schedulers.contract.Scheduler`."""
        return at_slice_end(trial_id, curves, self.slice(budget_epochs), budget_epochs)

    def moves(self, standing: Standing, problem: Problem) -> Moves:
        """See `optimizers.schedulers.contract.PausingScheduler`."""
        resume: dict[str, Exploit | None] = {}
        for trial_id, candidates in truncation(standing, problem, self).items():
            if not candidates:
                resume[trial_id] = None
                continue
            rng = generator(standing, trial_id)
            donor = candidates[int(rng.integers(len(candidates)))]
            resume[trial_id] = Exploit(donor, self.explore(standing.curves[donor].config, problem.space, rng))
        return Moves(resume)

    def explore(self, config: Config, space: Space, rng: np.random.Generator) -> dict[str, Any]:
        """`config` with every mutable hyperparameter perturbed or drawn anew, within the space."""
        changed = dict(config)
        for name in mutable_of(space, self.mutable):
            if name in config:
                changed[name] = self._moved(space.by_name[name], config[name], rng)
        return changed if space.contains(changed) else dict(config)

    def _moved(self, parameter: Parameter, value: Any, rng: np.random.Generator) -> Any:
        if rng.random() < self.resample or isinstance(parameter, Categorical):
            return parameter.draw(rng.random((1, parameter.draws)))[0]
        factor = self.factors[int(rng.integers(2))]
        if isinstance(parameter, Float):
            return min(max(value * factor, parameter.low), parameter.high)
        if isinstance(parameter, Int):
            steps = max(1, round(abs(value * factor - value) / parameter.step))
            moved = value + parameter.step * (steps if factor > 1 else -steps)
            return min(max(moved, parameter.low), parameter.high)
        if isinstance(parameter, Ordinal):
            near = parameter.near(value)
            return near[-1 if factor > 1 else 0] if near else value
        return value


class Generations(Protocol):
    """What trains a population in generations."""

    @property
    def quantile(self) -> float:
        """The share of the population that copies."""
        ...

    def slice(self, budget_epochs: float) -> float:
        """Epochs of a generation."""
        ...


def truncation(standing: Standing, problem: Problem, rules: Generations) -> dict[str, list[str]]:
    """The generation that goes on now, each with those it may copy from (none: it goes on as it is).

    Empty while somebody of the population has yet to come as far. The generation is that of the paused trials that
    have come least far, whole steps rounded to slices; its worst copy only from its best that have a checkpoint.
    """
    if standing.active or standing.fresh or standing.to_come or not standing.paused:
        return {}
    epochs = {trial: standing.curve(trial).epoch for trial in standing.paused}
    turns = {trial: round(epoch / rules.slice(standing.budget.epochs)) for trial, epoch in epochs.items()}
    generation = sorted(trial for trial, turn in turns.items() if turn == min(turns.values()))
    now = min(epochs[trial] for trial in generation)
    there = {name: point for name, curve in standing.curves.items() if (point := curve.reached(now)) is not None}
    reported = [trial for trial in generation if trial in there]
    objectives = comparable(problem, standing.curves[reported[0]].points[-1].metrics) if reported else ()
    if len(there) < 2 or not any(objective.metric not in problem.known for objective in objectives):
        return {trial: [] for trial in generation}
    values = np.array(
        [minimised(objectives, point.metrics, standing.curves[name].config, problem) for name, point in there.items()]
    )
    count = max(1, math.floor(len(there) * rules.quantile))
    places = {name: better_peers(values, row) for row, name in enumerate(there)}
    best = [trial for trial in reported if places[trial] < count and trial in standing.donors]
    worst = {trial for trial in reported if places[trial] >= len(there) - count and trial not in best}
    return {trial: best if trial in worst else [] for trial in generation}


def mutable_of(space: Space, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Parameters of `space` that may change in a running trial, `lora.dropout` like `dropout`."""
    allowed = MUTABLE if wanted is None else wanted
    return tuple(
        name
        for name, parameter in space.by_name.items()
        if name.rpartition(".")[2] in allowed
        and not (isinstance(parameter, Categorical) and len(parameter.choices) < 2)
    )


def check_generations(interval: float | None, quantile: float, mutable: Sequence[str] | None) -> None:
    """Check the options of whatever trains in generations. Raises `BadOption`."""
    if interval is not None and not interval > 0:
        raise BadOption("interval", interval, "epochs above 0")
    if not 0 < quantile <= 0.5:
        raise BadOption("quantile", quantile, "above 0 and at most 0.5")
    wrong = [name for name in mutable or () if name not in MUTABLE]
    if isinstance(mutable, str) or wrong:
        allowed = f"a list of {', '.join(MUTABLE)}; a checkpoint does not fit other values of anything else"
        raise BadOption("mutable", mutable, allowed)


def check_population(
    name: str,
    problem: Problem,
    budget: Budget,
    interval: float | None,
    quantile: float,
    mutable: Sequence[str] | None,
) -> None:
    """Refuse what cannot be trained in generations. Raises `UnsupportedProblem` or `BadOption`."""
    if interval is not None and interval >= budget.epochs:
        raise BadOption("interval", interval, f"epochs below the budget of {budget.epochs:g}")
    least = max(2, math.ceil(1 / quantile))
    if budget.trials < least:
        found = f"the budget leaves {budget.trials} trials beside the reference trials"
        raise UnsupportedProblem(name, f"a population needs at least {least} trials; {found}")
    if not mutable_of(problem.space, mutable):
        looked_for = ", ".join(MUTABLE if mutable is None else mutable)
        reason = f"no parameter of this space may change in a running trial; it needs one of {looked_for}"
        raise UnsupportedProblem(name, reason)


def generator(standing: Standing, trial_id: str) -> np.random.Generator:
    """Random numbers of one trial in one generation: from the job's seed, the trial's place and its epoch alone."""
    place, epoch = sorted(standing.curves).index(trial_id), standing.curves[trial_id].epoch
    return np.random.default_rng([standing.seed, place, round(epoch / TOLERANCE)])

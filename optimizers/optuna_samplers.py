"""TPE and NSGA-II, borrowed from Optuna: a study is rebuilt from history for every proposal.

Parameters are handed over as positions, not values (the rank of an ordinal, the index of a choice, the unit axis of a
float), so that scales are ours and any value survives. Only active parameters are suggested, parents first, which is
how Optuna learns conditional spaces. A failed trial counts as one that was as bad as the worst measured.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from optimizers import evidence as evidences
from optimizers.designs import closed
from optimizers.errors import BadOption
from optimizers.evidence import Evidence
from optimizers.novelty import Novelty, draw, repaired
from optimizers.problem import Config, History, OutcomeConstraint, Problem, Proposal
from search_spaces.parameters import Categorical, Int, Ordinal, Parameter
from search_spaces.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

# Suggestions asked for each one that is needed, before repeats are given up and new ones are drawn at random.
_TRIES = 8


@dataclass(frozen=True)
class TpeSearch:
    """Tree-structured Parzen estimator: multivariate within each branch of the space, pending trials as constant liars.

    Args:
        initial: trials drawn at random first.
        limit: trials that enter the estimator; of a longer history the better half by front, and the rest evenly.
    """

    initial: int = 10
    limit: int = 1000
    name: ClassVar[str] = "tpe"

    def __post_init__(self) -> None:
        _check_at_least(self, initial=0, limit=10)

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        from optuna.samplers import TPESampler

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `group` is marked as experimental, year after year
            sampler = TPESampler(
                n_startup_trials=self.initial, multivariate=True, group=True, constant_liar=True, seed=_seed(rng)
            )
        return _propose(sampler, problem, history, n, rng, self.limit, generation=None)


@dataclass(frozen=True)
class Nsga2Search:
    """NSGA-II (Deb et al. 2002). Generations are the history cut into pieces of `population` trials, oldest first."""

    population: int = 20
    name: ClassVar[str] = "nsga2"

    def __post_init__(self) -> None:
        _check_at_least(self, population=4)

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        from optuna.samplers import NSGAIISampler

        sampler = NSGAIISampler(population_size=self.population, seed=_seed(rng))
        # A generation's parents come from the one before it and from that one's parents, so old trials are out of play;
        # fifty generations are more than enough for the elite to have been handed on.
        return _propose(sampler, problem, history, n, rng, 50 * self.population, generation=self.population)


def _propose(
    sampler: BaseSampler,
    problem: Problem,
    history: History,
    n: int,
    rng: np.random.Generator,
    limit: int,
    generation: int | None,
) -> Proposal:
    novelty = Novelty(history)
    taken: list[dict[str, Any]] = []
    if n > 0:
        study = _study(sampler, problem, evidences.read(problem, history), limit, generation)
        for _ in range(_TRIES * n):
            if len(taken) < n:
                taken += novelty.take(_ask(study, problem.space))
    return closed(taken + draw(problem.space, novelty, n - len(taken), rng), n)


def _study(sampler: BaseSampler, problem: Problem, evidence: Evidence, limit: int, generation: int | None) -> Study:
    """An in-memory study that has seen `evidence`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["minimize"] * len(problem.objectives), sampler=sampler)
    chosen = evidences.informative(evidence, limit)
    trials = [_trial(problem, evidence.configs[i], evidence.objectives[i], evidence.constrained[i]) for i in chosen]
    if len(chosen):
        worst = evidence.objectives.max(axis=0)
        unmet = np.full(len(problem.constraints), np.nan)
        trials += [_trial(problem, config, worst, unmet) for config in evidence.failed[-limit:]]
    for number, trial in enumerate(trials):
        if generation is not None:
            trial.system_attrs["NSGAIISampler:generation"] = number // generation
        study.add_trial(trial)
    for config in evidence.pending:
        study.add_trial(_trial(problem, config, None, np.zeros(0)))
    return study


def _trial(problem: Problem, config: Config, objectives: np.ndarray | None, constrained: np.ndarray) -> FrozenTrial:
    """One trial with minimised `objectives [m]`, or a running one without."""
    from optuna.trial import TrialState, create_trial

    distributions: dict[str, BaseDistribution] = {}
    params: dict[str, Any] = {}
    for name, value in config.items():
        for key, position in _positions(problem.space.by_name[name], value).items():
            distributions[key] = _distribution(problem.space.by_name[name])
            params[key] = position
    if objectives is None:
        return create_trial(state=TrialState.RUNNING, params=params, distributions=distributions)
    violations = [_violation(item, float(value)) for item, value in zip(problem.constraints, constrained, strict=True)]
    return create_trial(
        # Optuna squares and subtracts values; these bounds leave room for that.
        values=np.clip(objectives, -1e100, 1e100).tolist(),
        params=params,
        distributions=distributions,
        system_attrs={"constraints": violations} if violations else {},
    )


def _violation(constraint: OutcomeConstraint, value: float) -> float:
    """How far a measured value is out of bounds; not positive when it is within. Unmeasured counts as far out."""
    if not math.isfinite(value):
        return 1e100
    below = constraint.min - value if constraint.min is not None else -math.inf
    above = value - constraint.max if constraint.max is not None else -math.inf
    return max(below, above)


def _ask(study: Study, space: Space) -> list[dict[str, Any]]:
    """One suggestion, brought into the space where it violates a constraint; none where that cannot be done."""
    trial = study.ask()
    config: dict[str, Any] = {}
    for name in space.order:
        if space.is_active(name, config):
            config[name] = _suggested(trial, space.by_name[name])
    return repaired(space, config)


def _distribution(parameter: Parameter) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Categorical):
        return CategoricalDistribution(tuple(range(parameter.size)))
    if isinstance(parameter, Ordinal) or (isinstance(parameter, Int) and parameter.scale == "linear"):
        return IntDistribution(0, parameter.size - 1)
    return FloatDistribution(0.0, 1.0)


def _positions(parameter: Parameter, value: Any) -> Mapping[str, Any]:
    """Where `value` lies, by key: one for each encoded column of a float, else one."""
    if isinstance(parameter, Categorical):
        return {parameter.name: _index(parameter.choices, value)}
    if isinstance(parameter, Ordinal):
        return {parameter.name: _index(parameter.values, value)}
    if isinstance(parameter, Int) and parameter.scale == "linear":
        return {parameter.name: (value - parameter.low) // parameter.step}
    units = parameter.encode([value])[0].tolist()
    return {_key(parameter, column): unit for column, unit in enumerate(units)}


def _suggested(trial: Trial, parameter: Parameter) -> Any:
    if isinstance(parameter, Categorical):
        return parameter.choices[trial.suggest_categorical(parameter.name, tuple(range(parameter.size)))]
    if isinstance(parameter, Ordinal):
        return parameter.values[trial.suggest_int(parameter.name, 0, parameter.size - 1)]
    if isinstance(parameter, Int) and parameter.scale == "linear":
        return parameter.low + parameter.step * trial.suggest_int(parameter.name, 0, parameter.size - 1)
    units = [trial.suggest_float(_key(parameter, column), 0.0, 1.0) for column in range(len(parameter.columns))]
    return parameter.decode(np.array([units]))[0]


def _key(parameter: Parameter, column: int) -> str:
    return parameter.name if len(parameter.columns) == 1 else f"{parameter.name}/{column}"


def _index(values: Sequence[Any], value: Any) -> int:
    """Position of `value`, telling `True` from 1."""
    kind = isinstance(value, bool)
    return next(index for index, other in enumerate(values) if other == value and isinstance(other, bool) == kind)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _check_at_least(options: object, **least: int) -> None:
    for option, bound in least.items():
        value = getattr(options, option)
        if value < bound:
            raise BadOption(option, value, f"at least {bound}")

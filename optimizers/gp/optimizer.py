"""The `gp` optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from optimizers.beliefs import over_all_amounts
from optimizers.errors import BadOption
from optimizers.evidence import Evidence
from optimizers.gp.acquisition import SCREENING, acquisition
from optimizers.gp.length_priors import USUAL, LengthPrior
from optimizers.gp.search import best_new
from optimizers.gp.surrogate import Surrogate, learn
from optimizers.model_based import SobolStart
from optimizers.novelty import Novelty
from optimizers.pareto import non_domination_ranks
from optimizers.problem import Config, History, Problem, Proposal

_PARENTS = 8


@dataclass(frozen=True)
class GaussianProcessSearch:
    """Bayesian optimization: a Gaussian process per objective and constraint, noisy expected (hypervolume) improvement.

    Args:
        initial: trials that follow a Sobol sequence before the surrogate takes over; None means two for each
            parameter, at least 4 and at most 10.
        limit: trials that enter a model; of a longer history the better half by front, and the rest evenly over time.
        fitted: of these, how many enter the fit of the hyperparameters.
        prior: how strongly the parameters' priors weigh in, in units of trials (πBO, Hvarfner et al. 2022): after
            this many measured trials they count with their own density, later less and less.
        seed: of the Sobol sequence.
    """

    initial: int | None = None
    limit: int = 400
    fitted: int = 200
    prior: float = 4.0
    seed: int = 0
    name: ClassVar[str] = "gp"
    length_priors: ClassVar[tuple[LengthPrior, ...]] = USUAL

    def __post_init__(self) -> None:
        for option, least in (("initial", 0), ("limit", 10), ("fitted", 10), ("prior", 0)):
            value = getattr(self, option)
            if value is not None and value < least:
                raise BadOption(option, value, f"at least {least}")

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`. Until something is measured, a note says which priors are left out."""
        problem, deciding = over_all_amounts(problem)
        choose = partial(self._chosen, problem, n, history.budget_left, rng)
        proposal = SobolStart(self.name, self.initial, self.seed).then(problem, history, n, rng, choose)
        if not deciding or history.completed or history.stopped:
            return proposal
        note = f"{self.name}: priors of {', '.join(deciding)} are left out, as an objective follows from these"
        return replace(proposal, notes=(note, *proposal.notes))

    def _chosen(
        self,
        problem: Problem,
        n: int,
        thrift: float,
        rng: np.random.Generator,
        evidence: Evidence,
        novelty: Novelty,
    ) -> list[dict[str, Any]]:
        surrogate = learn(problem, evidence, self.limit, self.fitted, self.length_priors)
        return promising(surrogate, n, self.prior, thrift, rng, evidence, novelty)


def promising(
    surrogate: Surrogate,
    n: int,
    prior: float,
    thrift: float,
    rng: np.random.Generator,
    evidence: Evidence,
    novelty: Novelty,
) -> list[dict[str, Any]]:
    """Up to `n` new configurations of which `surrogate` promises most, one after another, each with those before it
    pending. `prior` is the weight of the parameters' priors in trials, `thrift` the share of the budget left."""
    power, space = prior / max(len(evidence.configs), 1), surrogate.problem.space
    if all(getattr(parameter, "prior", None) is None for parameter in space.parameters):
        power = 0.0
    parents = good_ones(evidence)
    chosen: list[dict[str, Any]] = []
    for _ in range(n):
        worth = acquisition(surrogate, evidence, [*evidence.pending, *chosen], power, thrift, rng)
        found = best_new(space, partial(worth, samples=SCREENING), worth, parents, novelty, rng)
        if found is None:
            break
        chosen += novelty.take([found])
    return chosen


def good_ones(evidence: Evidence) -> Sequence[Config]:
    """Good configurations to search around: by front among the feasible ones, then the others."""
    ranks = non_domination_ranks(evidence.objectives)
    order = np.lexsort((ranks, ~evidence.feasible))
    return [evidence.configs[index] for index in order[:_PARENTS]]

"""The `gp` optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from optimizers import evidence as evidences
from optimizers.designs import SobolSearch, closed
from optimizers.errors import BadOption
from optimizers.evidence import Evidence
from optimizers.gp.acquisition import SCREENING, acquisition, expected
from optimizers.gp.length_priors import FEW_MATTER, USUAL, LengthPrior
from optimizers.gp.search import best_new
from optimizers.gp.surrogate import Surrogate, learn, learn_fully
from optimizers.novelty import Novelty, draw
from optimizers.pareto import non_domination_ranks
from optimizers.problem import Config, History, Problem, Proposal

# A surrogate of fewer measured trials knows nothing.
_FEWEST = 3
_PARENTS = 8
# Warm-up, draws and thinning of NUTS, as in AutoPEFT.
_EFFORT = (128, 64, 4)


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
        """See `optimizers.problem.Optimizer`."""
        novelty = Novelty(history)
        fallback = partial(SobolSearch(self.seed).continued, problem, history, novelty)
        if evidences.asked_count(history) < self._initial(problem) or not problem.space.dimensions:
            return closed(fallback(n, rng), n)
        evidence = evidences.read(problem, history)
        if len(evidence.configs) < _FEWEST:
            found = f"{len(evidence.configs)} measured and {len(evidence.failed)} failed trials"
            return self._instead(fallback(n, rng), n, f"a surrogate needs {_FEWEST} measured trials, found {found}")
        try:
            learned = self._learned(problem, evidence, rng)
            configs = self._chosen(learned, evidence, novelty, n, history.budget_left, rng)
        except (np.linalg.LinAlgError, ValueError, FloatingPointError) as error:
            return self._instead(fallback(n, rng), n, f"the surrogate could not be used ({error})")
        return closed(configs + draw(problem.space, novelty, n - len(configs), rng), n)

    def _initial(self, problem: Problem) -> int:
        free = len({column.parameter for column in problem.space.columns})
        return int(np.clip(2 * free, 4, 10)) if self.initial is None else self.initial

    def _learned(self, problem: Problem, evidence: Evidence, rng: np.random.Generator) -> tuple[Surrogate, ...]:  # noqa: ARG002
        """What the evidence says; several surrogates are averaged over."""
        return (learn(problem, evidence, self.limit, self.fitted, self.length_priors),)

    def _chosen(
        self,
        surrogates: Sequence[Surrogate],
        evidence: Evidence,
        novelty: Novelty,
        n: int,
        thrift: float,
        rng: np.random.Generator,
    ) -> list[dict[str, Any]]:
        """Up to `n` configurations one after another, each with those before it pending."""
        power, space = self.prior / max(len(evidence.configs), 1), surrogates[0].problem.space
        if all(getattr(parameter, "prior", None) is None for parameter in space.parameters):
            power = 0.0
        parents = _parents(evidence)
        chosen: list[dict[str, Any]] = []
        for _ in range(n):
            worth = expected(
                [
                    acquisition(one, evidence, [*evidence.pending, *chosen], power, thrift, twin)
                    for one, twin in zip(surrogates, _twins(rng, len(surrogates)), strict=True)
                ]
            )
            screen = partial(worth, samples=SCREENING)
            found = best_new(space, screen, worth, parents, novelty, rng)
            if found is None:
                break
            chosen += novelty.take([found])
        return chosen

    def _instead(self, configs: list[dict[str, Any]], n: int, reason: str) -> Proposal:
        proposal = closed(configs, n)
        return Proposal(proposal.configs, (f"{self.name}: {reason}; continued the Sobol sequence", *proposal.notes))


@dataclass(frozen=True)
class SparseSearch(GaussianProcessSearch):
    """SAASBO: `gp` with a prior that few parameters matter, as in AutoPEFT (Zhou et al. 2024). Options of `gp`, and:

    Args:
        inference: `map` takes the most probable length scales, of three fits; `nuts` averages over 16 draws from
            their posterior, the published recipe, which takes seconds for each suggestion.
    """

    inference: Literal["map", "nuts"] = "map"
    name: ClassVar[str] = "saasbo"
    length_priors: ClassVar[tuple[LengthPrior, ...]] = FEW_MATTER

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inference not in ("map", "nuts"):
            raise BadOption("inference", self.inference, "map or nuts")

    def _learned(self, problem: Problem, evidence: Evidence, rng: np.random.Generator) -> tuple[Surrogate, ...]:
        if self.inference == "map":
            return super()._learned(problem, evidence, rng)
        return learn_fully(problem, evidence, self.limit, self.fitted, _EFFORT, rng)


def _twins(rng: np.random.Generator, count: int) -> list[np.random.Generator]:
    """Generators of equal streams, so that all surrogates are asked about the same budget."""
    if count == 1:
        return [rng]
    seed = int(rng.integers(2**31))
    return [np.random.default_rng(seed) for _ in range(count)]


def _parents(evidence: Evidence) -> Sequence[Config]:
    """Good configurations to search around: by front among the feasible ones, then the others."""
    ranks = non_domination_ranks(evidence.objectives)
    order = np.lexsort((ranks, ~evidence.feasible))
    return [evidence.configs[index] for index in order[:_PARENTS]]

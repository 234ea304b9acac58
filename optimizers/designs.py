"""Proposals that do not look at results: random, Sobol and grid."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from optimizers.errors import BadOption
from optimizers.evidence import asked_count
from optimizers.novelty import Novelty, draw
from optimizers.problem import History, Problem, Proposal
from search_spaces.errors import SpaceTooConstrained

EXHAUSTED = "the search space is exhausted: every configuration has been asked for"
# A grid looks at this many points at most in one proposal, so that constraints that forbid nearly all cannot hang it.
_GRID_SCANNED = 1_000_000


@dataclass(frozen=True)
class RandomSearch:
    """Independent draws from the priors."""

    name: ClassVar[str] = "random"

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        return closed(draw(problem.space, Novelty(history), n, rng), n)


@dataclass(frozen=True)
class SobolSearch:
    """A scrambled Sobol sequence through the priors; the number of trials so far says where it continues.

    `seed` chooses the scrambling, so it must stay the same for all proposals of a job.
    """

    seed: int = 0
    name: ClassVar[str] = "sobol"

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        return closed(self.continued(problem, history, Novelty(history), n, rng), n)

    def continued(
        self, problem: Problem, history: History, novelty: Novelty, n: int, rng: np.random.Generator
    ) -> list[dict[str, Any]]:
        """The next `n` new points of the sequence; drawn at random where the sequence only repeats configurations."""
        space = problem.space
        taken: list[dict[str, Any]] = []
        if n > 0 and space.draws > 0:
            points = sobol_points(space.draws, asked_count(history), 2 * n + 8, self.seed)
            try:
                taken = novelty.take(space.from_uniform(points), n)
            except SpaceTooConstrained:
                taken = []  # random draws list what little there is
        return taken + draw(space, novelty, n - len(taken), rng)


@dataclass(frozen=True)
class GridSearch:
    """All points of a grid in a fixed order. `resolution` is the number of values of a continuous parameter, and of an
    integer that has more."""

    resolution: int = 5
    name: ClassVar[str] = "grid"

    def __post_init__(self) -> None:
        if self.resolution < 2:
            raise BadOption("resolution", self.resolution, "a whole number of at least 2")

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:  # noqa: ARG002
        """See `optimizers.problem.Optimizer`."""
        points = islice(problem.space.enumerate(self.resolution), _GRID_SCANNED)
        taken = Novelty(history).take((dict(config) for config in points), n)
        if len(taken) == n:
            return Proposal(tuple(taken))
        return Proposal(tuple(taken), (f"the grid with resolution {self.resolution} is exhausted",))


def sobol_points(dimensions: int, start: int, n: int, seed: int) -> NDArray[np.float64]:
    """Points `start` to `start + n` of a scrambled Sobol sequence, `[n, dimensions]` in the unit cube."""
    from scipy.stats.qmc import Sobol

    sequence = Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    with warnings.catch_warnings():
        # Balance needs a power of two points; a sequence that is continued one by one cannot have it at every length.
        warnings.simplefilter("ignore", UserWarning)
        if start:
            sequence.fast_forward(start)
        points: NDArray[np.float64] = sequence.random(n)
    return points


def closed(configs: list[dict[str, Any]], n: int) -> Proposal:
    """A proposal of `configs` that says so when the space had fewer than `n` left."""
    return Proposal(tuple(configs), () if len(configs) >= n else (EXHAUSTED,))

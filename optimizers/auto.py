"""The `auto` optimizer: a documented rule, to be settled by `benchmarks/search`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optimizers.designs import RandomSearch
from optimizers.gp.optimizer import GaussianProcessSearch
from optimizers.problem import History, Optimizer, Problem, Proposal
from optimizers.transfer import TransferSearch

# A finite space of at most this many configurations is small enough that a random order does as well as a surrogate.
_TINY = 8


@dataclass(frozen=True)
class AutoSearch:
    """`gp` on every problem, begun with what won on alike past jobs where there are any (`transfer`); spaces of at most
    8 configurations are tried in random order."""

    seed: int = 0
    name: ClassVar[str] = "auto"

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`."""
        count = problem.space.count()
        chosen: Optimizer = TransferSearch(seed=self.seed) if history.past else GaussianProcessSearch(seed=self.seed)
        if count is not None and count <= _TINY:
            chosen = RandomSearch()
        return chosen.propose(problem, history, n, rng)

"""The `saasbo` optimizer: Bayesian optimization with a prior that few parameters matter (Eriksson & Jankowiak 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from optimizers.botorch.optimizer import alone, require
from optimizers.errors import BadOption
from optimizers.evidence import Evidence
from optimizers.gp.length_priors import FEW_MATTER, LengthPrior
from optimizers.gp.optimizer import GaussianProcessSearch
from optimizers.novelty import Novelty
from optimizers.problem import Problem

# Warm-up, draws and thinning of NUTS, as in AutoPEFT.
_EFFORT = (128, 64, 4)


@dataclass(frozen=True)
class SparseSearch(GaussianProcessSearch):
    """SAASBO, as in AutoPEFT (Zhou et al. 2024). Options of `gp`, and:

    Args:
        inference: `map` takes the most probable length scales, of three fits of `gp`; `nuts` is the published recipe
            by BoTorch: its fully Bayesian model, 16 draws of the hyperparameters from their posterior, under its
            acquisition. It takes seconds for each suggestion, and the extra `botorch`; `fitted` trials enter a model,
            `prior` does not count.
    """

    inference: Literal["map", "nuts"] = "map"
    name: ClassVar[str] = "saasbo"
    length_priors: ClassVar[tuple[LengthPrior, ...]] = FEW_MATTER

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inference not in ("map", "nuts"):
            raise BadOption("inference", self.inference, "map or nuts")
        if self.inference == "nuts":
            require("inference", "botorch", "jax", "numpyro")

    def _chosen(
        self,
        problem: Problem,
        n: int,
        thrift: float,
        rng: np.random.Generator,
        evidence: Evidence,
        novelty: Novelty,
    ) -> list[dict[str, Any]]:
        if self.inference == "map":
            return super()._chosen(problem, n, thrift, rng, evidence, novelty)
        with alone(rng):
            from optimizers.botorch.acquisition import choose
            from optimizers.botorch.models import fit_sparse, learn

            fit = partial(fit_sparse, effort=_EFFORT, seed=int(rng.integers(2**31)))
            return choose(learn(problem, evidence, self.fitted, fit), evidence, novelty, n, rng)

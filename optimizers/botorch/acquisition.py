"""qLogNEHVI (Daulton et al. 2021, Ament et al. 2023) and, with one objective, qLogNEI over our configurations.

Imports torch: import it inside functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.objective import GenericMCObjective
from botorch.sampling.get_sampler import get_sampler
from numpy.typing import NDArray

from optimizers.botorch.models import Models
from optimizers.evidence import Evidence
from optimizers.gp.optimizer import good_ones
from optimizers.gp.search import best_new
from optimizers.novelty import Novelty
from optimizers.pareto import infer_reference
from optimizers.problem import Config

FloatArray = NDArray[np.float64]

# Samples of the outcomes, and configurations looked at in one go.
_SAMPLES, _PORTION = 64, 512
# BoTorch would compile a kernel for this very processor before the first suggestion, which takes a minute.
logei._load_attempted = True


def choose(
    models: Models, evidence: Evidence, novelty: Novelty, n: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Up to `n` new configurations one after another, each with those before it pending."""
    space, parents = models.inputs.problem.space, good_ones(evidence)
    chosen: list[dict[str, Any]] = []
    for _ in range(n):
        valued = acquisition(models, [*evidence.pending, *chosen], int(rng.integers(2**31)))

        def worth(configs: Sequence[Config], valued: AcquisitionFunction = valued) -> FloatArray:
            with torch.no_grad():
                parts = [valued(part[:, None]) for part in models.inputs(configs).split(_PORTION)]
            # Heights are compared by ratios, so the logarithm is undone; beyond these powers there is no number.
            height: FloatArray = np.exp(np.clip(np.nan_to_num(torch.cat(parts).numpy(), nan=-700.0), -700.0, 700.0))
            return height

        found = best_new(space, worth, worth, parents, novelty, rng)
        if found is None:
            break
        chosen += novelty.take([found])
    return chosen


def acquisition(models: Models, pending: Sequence[Config], seed: int) -> AcquisitionFunction:
    """The logarithm of the expected improvement of a row `[b, 1, f + k]` over the trials so far, `pending` included."""
    posterior: Any = models.model.posterior(models.baseline)
    given: dict[str, Any] = {
        "model": models.model,
        "X_baseline": models.baseline,
        "X_pending": models.inputs(pending) if pending else None,
        "sampler": get_sampler(posterior, torch.Size([_SAMPLES]), seed=seed),
        "constraints": models.constraints or None,
        "prune_baseline": True,
        "cache_root": False,  # it does not know lists that hold deterministic models
    }
    count = len(models.inputs.scalings)
    if count == 1:
        return qLogNoisyExpectedImprovement(objective=GenericMCObjective(_first), **given)
    return logei.qLogNoisyExpectedHypervolumeImprovement(
        ref_point=(-infer_reference(-models.standing.numpy())).tolist(),
        objective=IdentityMCMultiOutputObjective(outcomes=list(range(count))),
        **given,
    )


def _first(samples: torch.Tensor, X: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG001
    """The only objective, of outcomes `[..., o]`."""
    return samples[..., 0]

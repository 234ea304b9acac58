"""`masked_lora`: prune weights by magnitude and retrain them with a low-rank update that keeps the zeros.

Certain: W' = M ⊙ (W + s·BA), so that the update merges into the sparse weight without filling it. Choices: magnitudes
are compared inside each weight; of the sparse patterns with structure there is 2:4 (two of four neighbours along the
inputs are kept).
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from search_spaces.conditions import Condition
from search_spaces.parameters import Categorical, Float
from workers.methods.declaration.knob_kinds import alpha, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import own_method
from workers.methods.declaration.peft_method import per_layer, two_factors
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    inputs = gcd(*(linear.in_features for linear in model.anatomy.linears))
    patterns = Categorical("pattern", ("free", "2:4") if inputs % 4 == 0 else ("free",))
    own = (rank(model), patterns, Float("sparsity", 0.1, 0.9), alpha())
    free = Condition("sparsity", "pattern", ("free",))
    return Knobs((*own, *placement(model)), (free,), defaults={"sparsity": 0.5})


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.low_rank import MaskedLora
    from workers.methods.forms.reweighted import reweight

    def make(module: nn.Module, linear: Linear) -> MaskedLora:
        mask = pruning_mask(module, linear, knobs)
        return MaskedLora(module, linear.transposed, mask, knobs["rank"], knobs["alpha"] / knobs["rank"], generator)

    return reweight(base, placed(base.description, knobs), make)


def pruning_mask(module: nn.Module, linear: Linear, knobs: KnobValues) -> Tensor:
    """Mask [out, in] of what a layer keeps under the knobs `pattern` and `sparsity`."""
    stored = module.get_parameter("weight")
    weight = stored.T if linear.transposed else stored
    return two_of_four(weight) if knobs["pattern"] == "2:4" else largest(weight, 1 - knobs["sparsity"])


def largest(weight: Tensor, share: float) -> Tensor:
    """Mask [out, in] of the entries of largest magnitude, `share` of all."""
    import torch

    kept = weight.abs().flatten().topk(round(share * weight.numel())).indices
    return torch.zeros(weight.numel(), device=weight.device).index_fill_(0, kept, 1.0).reshape(weight.shape)


def two_of_four(weight: Tensor) -> Tensor:
    """Mask [out, in] of the two largest of each four neighbours along the inputs."""
    import torch

    fours = weight.abs().reshape(-1, 4)
    return torch.zeros_like(fours).scatter_(1, fours.topk(2).indices, 1.0).reshape(weight.shape)


METHODS = (
    own_method(
        "masked_lora",
        family="low-rank",
        summary="LoRA on pruned weights whose zeros stay zero",
        source="Zimmer et al. 2023, PERP, arXiv 2312.15230",
        learning_rates=LearningRates(5e-5, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(two_factors),
        unchanged_at_start=False,
    ),
)

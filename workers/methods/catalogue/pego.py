"""`pego`: a group of low-rank updates kept apart from the base weights and from each other by the loss.

Certain: several LoRA modules on one weight, one penalty that keeps the update orthogonal to the base weight and one
that keeps the modules orthogonal to each other; merged, nothing is left of them. Choices: the penalties are squared
Frobenius norms, ‖WᵀΔW‖² and Σ_{i<j} ‖A_iA_jᵀ‖², averaged over layers. The paper aims at domains that training does not
show; here the objective is the job's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Int
from workers.methods.declaration.knob_kinds import alpha, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.declaration.peft_method import per_layer, two_factors
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    penalties = (Float("preserve", 1e-5, 1.0, scale="log"), Float("diversify", 1e-5, 1.0, scale="log"))
    own = (rank(model, high=8, mode=4), Int("groups", 1, 8), *penalties, alpha())
    return Knobs((*own, *placement(model)), defaults={"groups": 4, "preserve": 1e-3, "diversify": 1e-3})


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.low_rank import LoraGroup
    from workers.methods.forms.reweighted import reweight

    scale = knobs["alpha"] / (knobs["rank"] * knobs["groups"])

    def make(module: nn.Module, linear: Linear) -> LoraGroup:
        return LoraGroup(module, linear.transposed, knobs["groups"], knobs["rank"], scale, generator)

    return reweight(base, placed(base.description, knobs), make)


def _penalty(base: Base, knobs: KnobValues) -> Tensor:
    import torch

    from workers.methods.forms.low_rank import LoraGroup

    layers = [module for module in base.model.modules() if isinstance(module, LoraGroup)]
    kept = torch.stack([layer.overlap_with_base() for layer in layers]).mean()
    apart = torch.stack([layer.overlap_inside() for layer in layers]).mean()
    return kept * float(knobs["preserve"]) + apart * float(knobs["diversify"])


METHODS = (
    own_method(
        "pego",
        family="low-rank",
        summary="a group of low-rank updates, orthogonal to the base and to each other",
        source="Hu et al. 2024, PEGO, arXiv 2407.15085",
        learning_rates=LearningRates(5e-5, 1e-2, 7e-4),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(lambda linear, knobs: knobs["groups"] * two_factors(linear, knobs)),
        hooks=OwnHooks(auxiliary_loss=_penalty),
    ),
)

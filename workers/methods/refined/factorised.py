"""`factorised`: all linear layers of a model as products of two thin matrices, which are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Float
from workers.methods.declaration.knob_kinds import placed, placement
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import own_method
from workers.methods.declaration.peft_method import per_layer
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    return Knobs((Float("keep", 0.05, 0.95), *placement(model)))


def _install(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.factorised import Factorised
    from workers.methods.forms.reweighted import reweight

    def make(module: nn.Module, linear: Linear) -> Factorised:
        return Factorised(module, linear.transposed, rank_within(knobs["keep"], linear))

    return reweight(base, placed(base.description, knobs), make)


def rank_within(keep: float, linear: Linear) -> int:
    """The largest rank whose two factors have at most a share of the weight's parameters; at least 1."""
    inputs, outputs = linear.in_features, linear.out_features
    return max(1, int(keep * inputs * outputs / (inputs + outputs) + 1e-9))


def _factors(linear: Linear, knobs: KnobValues) -> int:
    return rank_within(knobs["keep"], linear) * (linear.in_features + linear.out_features)


METHODS = (
    own_method(
        "factorised",
        family="low-rank",
        summary="linear layers as products of two thin matrices",
        source="Guo et al. 2023, PELA, arXiv 2310.10700",
        learning_rates=LearningRates(1e-5, 1e-3, 1e-4),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(_factors),
        mergeable=False,  # folded, it would be as large and as slow as it was
        unchanged_at_start=False,
    ),
)

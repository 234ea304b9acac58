"""`svfit` and `loldu`: train a few numbers of a factorisation of each weight.

Certain: what is factored and what is trained. LoLDU has one more trained scale for each weight; that it starts at 1,
so that the start is the base itself, is a choice (its code starts at α / rank and takes that part out of the weight).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Ordinal
from workers.methods.declaration.knob_kinds import placed, placement
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import own_method
from workers.methods.declaration.peft_method import per_layer
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    smallest = min(min(linear.in_features, linear.out_features) for linear in model.anatomy.linears)
    ranks = tuple(2**power for power in range(smallest.bit_length()) if 2**power <= smallest)
    return Knobs((Ordinal("rank", ranks), *placement(model)))


def _install_svfit(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.weights import SingularValues

    places = placed(base.description, knobs)
    return reweight(base, places, lambda module, linear: SingularValues(module, linear.transposed, knobs["rank"]))


def _install_loldu(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.weights import DiagonalOfLDU

    rank, places = knobs["rank"], placed(base.description, knobs)
    return reweight(base, places, lambda module, linear: DiagonalOfLDU(module, linear.transposed, rank, 1.0))


METHODS = (
    own_method(
        "svfit",
        family="spectral",
        summary="the top singular values of each weight",
        source="Sun et al. 2024, SVFit, arXiv 2409.05926",
        learning_rates=LearningRates(1e-4, 1e-1, 1e-2),
        knobs=_knobs,
        install=_install_svfit,
        trainable_parameters=per_layer(lambda _linear, knobs: knobs["rank"]),
    ),
    own_method(
        "loldu",
        family="spectral",
        summary="a part of the diagonal of each weight's LDU factorisation",
        source="Shi et al. 2024, LoLDU, arXiv 2410.13618",
        learning_rates=LearningRates(1e-4, 1e-1, 1e-2),
        knobs=_knobs,
        install=_install_loldu,
        trainable_parameters=per_layer(lambda _linear, knobs: knobs["rank"] + 1),
    ),
)

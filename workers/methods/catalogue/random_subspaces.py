"""`nola` and `said`: train coordinates in a frozen random subspace; the file holds coordinates and a seed.

Certain: NOLA's mixtures of random bases and SAID's vector with a scale for each layer. Choices: NOLA's bases are shared
by layers of equal shape, which saves memory and draws; SAID projects with one random sign and position for each weight
instead of the Fastfood transform, which has the same property (orthogonal columns) and costs one gather.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from search_spaces.parameters import Int, Ordinal
from workers.methods.declaration.knob_kinds import alpha, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import own_method
from workers.methods.declaration.peft_method import per_layer
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.models.loading import Base


def _nola_knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model, high=16, mode=4), Ordinal("bases", (8, 16, 32, 64, 128)), alpha(), *placement(model)))


def _install_nola(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.reweighted import reweight, uniform
    from workers.methods.forms.weights import RandomBasisLora

    bases: dict[tuple[int, ...], Tensor] = {}
    scale = knobs["alpha"] / knobs["rank"]

    def drawn(*shape: int) -> Tensor:
        if shape not in bases:
            bases[shape] = uniform(shape, 1 / sqrt(shape[-1]), generator).to(base.model.device)
        return bases[shape]

    def make(module: nn.Module, linear: Linear) -> RandomBasisLora:
        first = drawn(knobs["bases"], knobs["rank"], linear.in_features)
        second = drawn(knobs["bases"], linear.out_features, knobs["rank"])
        return RandomBasisLora(module, linear.transposed, first, second, scale, generator)

    return reweight(base, placed(base.description, knobs), make)


def _said_knobs(model: ModelDescription) -> Knobs:
    return Knobs((Int("dimensions", 10, 10_000, scale="log"), *placement(model)))


def _install_said(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    import torch
    from torch import nn

    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.weights import ProjectedVector

    places = placed(base.description, knobs)
    weights = sum(linear.in_features * linear.out_features for _, linear in places)
    vector = nn.Parameter(torch.zeros(knobs["dimensions"]))
    scale = sqrt(knobs["dimensions"] / weights)  # each coordinate is read by weights / dimensions entries on average

    def make(module: nn.Module, linear: Linear) -> ProjectedVector:
        return ProjectedVector(module, linear.transposed, vector, scale, generator)

    return reweight(base, places, make)


def _said_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    return int(knobs["dimensions"]) + len(placed(model, knobs))


METHODS = (
    own_method(
        "nola",
        family="shared",
        summary="LoRA factors as mixtures of frozen random bases",
        source="Koohpayegani et al. 2023, NOLA, arXiv 2310.02556",
        learning_rates=LearningRates(5e-4, 1e-1, 1e-2),
        knobs=_nola_knobs,
        install=_install_nola,
        trainable_parameters=per_layer(lambda _linear, knobs: 2 * knobs["bases"]),
    ),
    own_method(
        "said",
        family="shared",
        summary="one vector, projected at random into all weights",
        source="Aghajanyan et al. 2021, arXiv 2012.13255; Li et al. 2018, arXiv 1804.08838",
        learning_rates=LearningRates(1e-3, 3e-1, 3e-2),
        knobs=_said_knobs,
        install=_install_said,
        trainable_parameters=_said_parameters,
    ),
)

"""`nola` and `said`: train coordinates in a frozen random subspace; the file holds coordinates and a seed.

Certain: NOLA's mixtures of random bases and SAID's vector with a scale for each layer. Choices: NOLA's bases are shared
by layers of equal shape, which saves memory and draws; SAID projects with one random sign and position for each weight,
at the cost of one gather, or by Fastfood's transform in blocks. Without `layer_scales` it is the plain subspace of Li
et al. A dense projection is not there: of all layers of MiniLM to 1,000 dimensions it has 10^10 numbers.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Int, Ordinal
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

_SAID = {"projection": "sparse", "layer_scales": True}


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
    return Knobs(
        (
            Int("dimensions", 10, 10_000, scale="log"),
            Categorical("projection", ("sparse", "fastfood")),
            Categorical("layer_scales", (True, False)),
            *placement(model),
        ),
        defaults=_SAID,
    )


def _install_said(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    import torch
    from torch import nn

    from workers.methods.forms.projected import PROJECTIONS, ProjectedVector
    from workers.methods.forms.reweighted import reweight

    knobs = {**_SAID, **knobs}  # adapter files of before there was a choice do not name it
    places = placed(base.description, knobs)
    entries = sum(linear.in_features * linear.out_features for _, linear in places)
    vector = nn.Parameter(torch.zeros(knobs["dimensions"]))

    def make(module: nn.Module, linear: Linear) -> ProjectedVector:
        shape = torch.Size((linear.out_features, linear.in_features))
        projection = PROJECTIONS[knobs["projection"]](shape, len(vector), entries, generator)
        return ProjectedVector(module, linear.transposed, vector, projection, knobs["layer_scales"])

    return reweight(base, places, make)


def _said_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    scales = len(placed(model, knobs)) if knobs["layer_scales"] else 0
    return int(knobs["dimensions"]) + scales


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

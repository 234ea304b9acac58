"""`bitfit`, `full_ft` and `half_ft`: train some of the base's own tensors.

BitFit: the biases. Full fine-tuning of the top layers is the other end of every front. HFT: a random part of the weight
matrices, the same number in every layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Float
from workers.methods.knob_kinds import placed, placement, top_layers
from workers.methods.method import Knobs, KnobValues, LearningRates
from workers.methods.own_method import own_method
from workers.models.architectures import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

_WITH_BIASES = ("bert", "roberta", "xlm-roberta", "distilbert", "gpt2")


def _biased(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, Linear]]:
    return [(layer, linear) for layer, linear in placed(model, knobs) if linear.bias]


def _install_bitfit(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    return _train(base, _biased(base.description, knobs), "bias")


def _bitfit_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    return sum(linear.out_features for _, linear in _biased(model, knobs))


def _install_full(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    model, layers = base.description, base.description.layer_range(knobs["top_layers"])
    places = list(model.linears("all", layers))
    biased = [(layer, linear) for layer, linear in places if linear.bias]
    return _train(base, places, "weight") | _train(base, biased, "bias")


def _full_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    linears = model.linears("all", model.layer_range(knobs["top_layers"]))
    return sum(one.in_features * one.out_features + (one.out_features if one.bias else 0) for _, one in linears)


def _half_knobs(model: ModelDescription) -> Knobs:
    own = (Float("fraction", 0.1, 0.9), Categorical("draw", tuple(range(8))))
    return Knobs((*own, *top_layers(model)), defaults={"fraction": 0.5})


def _half(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, Linear]]:
    """A random choice in every layer, from the knobs alone, so that the number of parameters follows from them."""
    from random import Random

    random, chosen = Random(knobs["draw"]), []
    linears = model.anatomy.linears
    count = max(1, round(knobs["fraction"] * len(linears)))
    for layer in model.layer_range(knobs["top_layers"]):
        chosen += [(layer, linears[index]) for index in sorted(random.sample(range(len(linears)), count))]
    return chosen


def _install_half(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    return _train(base, _half(base.description, knobs), "weight")


def _half_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    return sum(one.in_features * one.out_features for _, one in _half(model, knobs))


def _train(base: Base, places: list[tuple[int, Linear]], name: str) -> dict[str, nn.Parameter]:
    from workers.methods.own_adapter import replace_parameter

    found = {}
    for layer, linear in places:
        module = base.model.get_submodule(base.description.path(layer, linear.name))
        found[f"{layer}.{linear.name}.{name}"] = replace_parameter(module, name)
    return found


METHODS = (
    own_method(
        "bitfit",
        family="selective",
        summary="the biases of linear layers",
        source="Ben Zaken et al. 2021, BitFit, arXiv 2106.10199",
        learning_rates=LearningRates(1e-4, 3e-2, 3e-3),
        knobs=lambda model: Knobs(placement(model)),
        install=_install_bitfit,
        trainable_parameters=_bitfit_parameters,
        model_types=_WITH_BIASES,
    ),
    own_method(
        "full_ft",
        family="selective",
        summary="all linear layers of the top encoder layers",
        source="full fine-tuning; the reference at the large end",
        learning_rates=LearningRates(3e-6, 3e-4, 3e-5),
        knobs=lambda model: Knobs(top_layers(model)),
        install=_install_full,
        trainable_parameters=_full_parameters,
    ),
    own_method(
        "half_ft",
        family="selective",
        summary="a random part of the weight matrices of every layer",
        source="Hui et al. 2024, HFT, arXiv 2404.18466",
        learning_rates=LearningRates(3e-6, 3e-4, 3e-5),
        knobs=_half_knobs,
        install=_install_half,
        trainable_parameters=_half_parameters,
        variant_of="full_ft",
    ),
)

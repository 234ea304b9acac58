"""`bitfit`, `full_ft` and `half_ft`: train some of the base's own tensors.

BitFit: the biases. Full fine-tuning is the other end of every front: every tensor of the top layers and, when these are
all, the embeddings and norms outside of them, too. HFT: a random half, or another fraction, of the weights in the
layers' matrices, frozen or trained by whole matrices, by whole layers, or by matrices within each layer's attention and
feed-forward part; where whole ones do not add up to the fraction, one of them is trained in some of its rows.
Certain: half of the weights, chosen at random, at one of these grains. Choices: biases and norms stay frozen, and the
choice is made once for a task, as the paper has it for one round of tuning; the strategy `hft` draws anew meanwhile.
"""

from __future__ import annotations

from itertools import groupby
from math import prod
from random import Random
from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Float
from workers.methods.declaration.knob_kinds import placed, placement, top_layers
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import SOME_BIASES, biased_targets
from workers.methods.declaration.own_method import own_method
from workers.models.anatomy import TARGETS, Linear, Norm
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _biased(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, Linear]]:
    return [(layer, linear) for layer, linear in placed(model, knobs) if linear.bias]


def _install_bitfit(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    return _train(base, _biased(base.description, knobs), "bias")


def _bitfit_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    return sum(linear.out_features for _, linear in _biased(model, knobs))


def _install_full(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.own_adapter import replace_parameter

    model, trained = base.description, {}
    for name, (path, _) in _everything(model, knobs).items():
        module, _, parameter = path.rpartition(".")
        trained[name] = replace_parameter(base.model.get_submodule(module), parameter)
    return trained


def _everything(model: ModelDescription, knobs: KnobValues) -> dict[str, tuple[str, int]]:
    """Path and size of each tensor of the top layers, by name; with all layers, those outside of them, too."""
    layers = model.layer_range(knobs["top_layers"])
    sizes: dict[str, tuple[str, int]] = {}
    parts: list[tuple[int, Linear | Norm]] = [*model.linears("all", layers), *model.norms(layers)]
    for layer, part in parts:
        weights, biases = (_weights(part), part.out_features) if isinstance(part, Linear) else (part.size, part.size)
        path = model.path(layer, part.name)
        sizes[f"{layer}.{part.name}.weight"] = f"{path}.weight", weights
        if part.bias:
            sizes[f"{layer}.{part.name}.bias"] = f"{path}.bias", biases
    if len(layers) == model.anatomy.layers:
        sizes |= {path: (path, prod(shape)) for path, shape in model.anatomy.outside}
    return sizes


def _full_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    return sum(size for _, size in _everything(model, knobs).values())


def _half_knobs(model: ModelDescription) -> Knobs:
    grain = Categorical("grain", ("matrix", "category", "layer"))
    own = (Float("fraction", 0.1, 0.9), grain, Categorical("draw", tuple(range(8))))
    return Knobs((*own, *top_layers(model)), defaults={"fraction": 0.5})


def _half(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, Linear, int]]:
    """Layer, matrix and how many of its rows are trained.

    From the knobs alone, so that the number of parameters follows from them.
    """
    random, layers = Random(knobs["draw"]), model.layer_range(knobs["top_layers"])
    chosen: list[tuple[int, Linear, int]] = []
    for group in _groups(list(model.linears("all", layers)), knobs["grain"]):
        random.shuffle(group)
        left = knobs["fraction"] * sum(_weights(one) for unit in group for _, one in unit)
        for layer, linear in (place for unit in group for place in unit):
            rows = min(linear.out_features, round(left / linear.in_features))
            if rows > 0:
                chosen.append((layer, linear, rows))
            left -= rows * linear.in_features
    return chosen or [(layers[0], model.anatomy.linears[0], 1)]


def _groups(places: list[tuple[int, Linear]], grain: str) -> list[list[list[tuple[int, Linear]]]]:
    """Units that are trained or not, in groups of each of which the fraction is trained."""
    if grain == "matrix":
        return [[[place] for place in places]]
    if grain == "layer":
        return [[list(unit) for _, unit in groupby(places, key=lambda place: place[0])]]
    groups: dict[tuple[int, bool], list[list[tuple[int, Linear]]]] = {}
    for layer, linear in places:
        groups.setdefault((layer, bool(linear.groups & TARGETS["mlp"])), []).append([(layer, linear)])
    return list(groups.values())


def _weights(linear: Linear) -> int:
    return linear.in_features * linear.out_features


def _install_half(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.weights import FirstRows
    from workers.methods.own_adapter import replace_parameter, set_submodule

    trained = {}
    for layer, linear, rows in _half(base.description, knobs):
        path = base.description.path(layer, linear.name)
        module, name = base.model.get_submodule(path), f"{layer}.{linear.name}"
        if rows == linear.out_features:
            trained[f"{name}.weight"] = replace_parameter(module, "weight")
        else:
            partly = FirstRows(module, linear.transposed, rows).to(base.model.device)
            set_submodule(base.model, path, partly)
            trained[f"{name}.rows"] = partly.rows
    return trained


def _half_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    return sum(rows * linear.in_features for _, linear, rows in _half(model, knobs))


def _lowest_half(model: ModelDescription, knobs: KnobValues) -> int:
    return min(layer for layer, _, _ in _half(model, knobs))


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
        knobs=lambda model: Knobs(placement(model, biased_targets(model.anatomy))),
        install=_install_bitfit,
        trainable_parameters=_bitfit_parameters,
        needs=(SOME_BIASES,),
        forms=("bias",),
    ),
    own_method(
        "full_ft",
        family="selective",
        summary="every tensor of the top encoder layers; with all of them, embeddings, too",
        source="full fine-tuning; the reference at the large end",
        learning_rates=LearningRates(3e-6, 3e-4, 3e-5),
        knobs=lambda model: Knobs(top_layers(model)),
        install=_install_full,
        trainable_parameters=_full_parameters,
    ),
    own_method(
        "half_ft",
        family="selective",
        summary="a random fraction of the weights of the layers' matrices",
        source="Hui et al. 2024, HFT, arXiv 2404.18466",
        learning_rates=LearningRates(3e-6, 3e-4, 3e-5),
        knobs=_half_knobs,
        install=_install_half,
        trainable_parameters=_half_parameters,
        lowest_layer=_lowest_half,
        variant_of="full_ft",
    ),
)

"""`ssf` and `difffit`: learned scales and shifts of what the layers compute.

SSF: y = γ ⊙ (Wx + b) + β behind every linear layer, folded away afterwards. DiffFit: biases, norms and one scale for
each sublayer, here on the linear layer that ends it. Certain: the equations; a choice: DiffFit's γ is one number for
each sublayer as in its figure (its code has a vector).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical
from workers.methods.declaration.knob_kinds import placed, placement, top_layers
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import KNOWN_PARTS, SOME_BIASES
from workers.methods.declaration.own_method import own_method
from workers.methods.declaration.peft_method import per_layer
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

_SUBLAYERS = {"none": frozenset[str](), "attention": {"output"}, "mlp": {"down"}, "both": {"output", "down"}}


def _install_ssf(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.weights import ScaledShifted

    places = placed(base.description, knobs)
    return reweight(base, places, lambda module, linear: ScaledShifted(module, linear.transposed))


def _difffit_knobs(model: ModelDescription) -> Knobs:
    own = (Categorical("scaled", tuple(_SUBLAYERS)), Categorical("norms", (True, False)))
    return Knobs((*own, *top_layers(model)), defaults={"scaled": "both"})


def _ends(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, Linear]]:
    layers = model.layer_range(knobs["top_layers"])
    return [(layer, one) for layer, one in model.linears("all", layers) if one.groups & _SUBLAYERS[knobs["scaled"]]]


def _install_difffit(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.weights import ScaledSublayer
    from workers.methods.own_adapter import replace_parameter

    model, trained = base.description, {}
    layers = model.layer_range(knobs["top_layers"])
    for layer, linear in model.linears("all", layers):
        if linear.bias:
            module = base.model.get_submodule(model.path(layer, linear.name))
            trained[f"{layer}.{linear.name}.bias"] = replace_parameter(module, "bias")
    for layer, norm in model.norms(layers) if knobs["norms"] else ():
        module = base.model.get_submodule(model.path(layer, norm.name))
        for name in ("weight", "bias")[: 1 + norm.bias]:
            trained[f"{layer}.{norm.name}.{name}"] = replace_parameter(module, name)
    scaled = reweight(base, _ends(model, knobs), lambda module, linear: ScaledSublayer(module, linear.transposed))
    return trained | scaled


def _difffit_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    layers = model.layer_range(knobs["top_layers"])
    biases = sum(linear.out_features for _, linear in model.linears("all", layers) if linear.bias)
    norms = sum(norm.size * (1 + norm.bias) for _, norm in model.norms(layers)) if knobs["norms"] else 0
    return biases + norms + len(_ends(model, knobs))


METHODS = (
    own_method(
        "ssf",
        family="scaling",
        summary="scale and shift behind every linear layer",
        source="Lian et al. 2022, SSF, arXiv 2210.08823",
        learning_rates=LearningRates(1e-4, 1e-1, 5e-3),
        knobs=lambda model: Knobs(placement(model)),
        install=_install_ssf,
        trainable_parameters=per_layer(lambda linear, _knobs: 2 * linear.out_features),
        forms=("scale",),
    ),
    own_method(
        "difffit",
        family="selective",
        summary="biases, norms and one scale for each sublayer",
        source="Xie et al. 2023, DiffFit, arXiv 2304.06648",
        learning_rates=LearningRates(1e-4, 3e-2, 2e-3),
        knobs=_difffit_knobs,
        install=_install_difffit,
        trainable_parameters=_difffit_parameters,
        needs=(SOME_BIASES, KNOWN_PARTS),
        forms=("bias", "norm", "scale"),
    ),
)

"""`pruned`: pruned weights under a winner's update, of which biases, norms or the head alone are retrained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.conditions import Condition
from search_spaces.parameters import Categorical, Float
from workers.methods.catalogue.masked_lora import pruning_mask
from workers.methods.declaration.knob_kinds import rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import own_method
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

RETRAINED = ("biases", "norms", "biases_and_norms", "head")


def _knobs(model: ModelDescription) -> Knobs:
    patterns = Categorical("pattern", ("free", "2:4"))
    own = (rank(model), patterns, Float("sparsity", 0.1, 0.9), Categorical("retrain", RETRAINED))
    return Knobs(own, (Condition("sparsity", "pattern", ("free",)),), defaults={"sparsity": 0.5})


def _install(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.pruned import PrunedLayer
    from workers.methods.forms.reweighted import reweight
    from workers.methods.own_adapter import replace_parameter

    biases = knobs["retrain"].startswith("biases")

    def make(module: nn.Module, linear: Linear) -> PrunedLayer:
        return PrunedLayer(module, linear.transposed, pruning_mask(module, linear, knobs), knobs["rank"], biases)

    trained = reweight(base, base.description.linears(), make)
    if knobs["retrain"].endswith("norms"):
        for layer, norm in base.description.norms():
            module = base.model.get_submodule(base.description.path(layer, norm.name))
            for name in [name for name, _ in module.named_parameters(recurse=False)]:
                trained[f"{layer}.{norm.name}.{name}"] = replace_parameter(module, name)
    return trained


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    biases = sum(linear.out_features for _, linear in model.linears() if linear.bias)
    norms = sum(norm.size * (2 if norm.bias else 1) for _, norm in model.norms())
    retrain = str(knobs["retrain"])
    return int(biases * retrain.startswith("biases") + norms * retrain.endswith("norms"))


METHODS = (
    own_method(
        "pruned",
        family="sparse",
        summary="biases, norms or the head of pruned weights under an update that stays",
        source="Zimmer et al. 2023, PERP, arXiv 2312.15230",
        learning_rates=LearningRates(1e-4, 1e-1, 3e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        lowest_layer=lambda _model, _knobs: 0,  # weights are pruned in all of them
        unchanged_at_start=False,
    ),
)

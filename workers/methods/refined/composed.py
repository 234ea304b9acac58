"""`composed`: stored adapters put together by a gate that reads its input.

Certain: skills are LoRAs that stay as they are and are weighed by what the model is looking at. Choices: every adapted
layer has a gate of its own, which reads the token (the published one reads the state of a robot, once for all layers);
weights add up to one; `static` gates read nothing, to compare with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical
from workers.methods.declaration.knob_kinds import placed
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import own_method
from workers.methods.declaration.peft_method import per_layer
from workers.methods.refined.scalearn import of_sources
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    return Knobs((*of_sources(model), Categorical("gate", ("input", "static"))))


def _install(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.sources import GatedSources
    from workers.methods.own_adapter import set_submodule

    trained = {}
    for layer, linear in placed(base.description, knobs):
        path = base.description.path(layer, linear.name)
        sizes = (int(knobs["sources"]), int(knobs["rank"]), linear.in_features, linear.out_features)
        module = GatedSources(base.model.get_submodule(path), sizes, knobs["gate"] == "input")
        set_submodule(base.model, path, module.to(base.model.device))
        if module.read is not None:
            trained[f"{layer}.{linear.name}.read"] = module.read
        trained[f"{layer}.{linear.name}.lean"] = module.lean
    return trained


def _gate(linear: Linear, knobs: KnobValues) -> int:
    return int(knobs["sources"]) * (1 + (linear.in_features if knobs["gate"] == "input" else 0))


METHODS = (
    own_method(
        "composed",
        family="mixed",
        summary="stored adapters weighed by a gate that reads its input",
        source="Liu et al. 2025, PSEC, arXiv 2502.05932",
        learning_rates=LearningRates(1e-4, 3e-2, 3e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(_gate),
        mergeable=False,
    ),
)

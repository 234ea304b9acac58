"""`lst`: ladder side-tuning. A narrow network reads the outputs of the frozen layers; no gradient passes through these.

Certain: gated ladder connections with temperature 0.1, one side block for each layer, added at the top. A choice: side
blocks are feed-forward only, since what they read has been through attention; they start at random, not pruned from
the backbone. All hidden states are needed, so nothing of the frozen model can be left out while training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Ordinal
from workers.methods.method import Knobs, KnobValues, LearningRates
from workers.methods.own_method import own_method
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    reductions = tuple(value for value in (2, 4, 8, 16) if model.shape.hidden_size // value >= 1)
    return Knobs((Ordinal("reduction", reductions),), defaults={"reduction": 8})


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    hidden = model.shape.hidden_size
    width = hidden // knobs["reduction"]
    block = hidden * width + width + width * width + width + 2 * width + 1
    return model.shape.layers * block + width * hidden + hidden


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.side_network import LadderSide

    parts = base.description.anatomy
    side = LadderSide(parts.hidden_size, parts.hidden_size // knobs["reduction"], parts.layers, generator)
    side.to(base.model.device)
    base.model.add_module("ladder_side", side)
    side.watch(base.model.get_submodule(parts.layers_path))
    return dict(side.named_parameters())


METHODS = (
    own_method(
        "lst",
        family="adapter",
        summary="a narrow network beside the frozen one",
        source="Sung et al. 2022, LST, arXiv 2206.06522",
        learning_rates=LearningRates(1e-4, 3e-2, 2e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        lowest_layer=lambda _model, _knobs: 0,
        mergeable=False,
    ),
)

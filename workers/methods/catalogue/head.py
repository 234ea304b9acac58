"""`head`: the frozen model with a new classification head, which every other method trains too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.methods.attached import Attached, TrainingSetup
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates, Method

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _attach(base: Base, knobs: KnobValues, seed: int, _setup: TrainingSetup | None) -> Attached:
    from workers.methods.own_adapter import OwnAdapter

    layers = base.description.anatomy.layers
    return OwnAdapter(base, "head", knobs, seed, lowest_layer=layers, install=_nothing)


def _nothing(_base: Base, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    return {}


METHODS = (
    Method(
        name="head",
        family="head",
        summary="train only the classification head",
        source="linear probing; the reference every method must beat",
        learning_rates=LearningRates(1e-4, 3e-2, 3e-3),
        knobs=lambda _model: Knobs(),
        trainable_parameters=lambda _model, _knobs: 0,
        attach=_attach,
        mergeable=True,
        format="peftsearch",
        forms=(),
    ),
)

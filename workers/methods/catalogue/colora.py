"""`colora`: ranks in proportion to how much each weight would contribute, measured on a few batches before training.

Certain: a probe of gradients and weight changes, c = Σ|∂loss/∂W ⊙ (W₁ − W₀)|, and ranks r = R·c/Σc within bounds.
Choices: the change W₁ − W₀ is one step of gradient descent on the probe, so c is the squared norm of the mean gradient
up to the step size, which cancels; layers compete with layers of their own shape; no rank is above four times the mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Int, Ordinal
from workers.methods.attached import TrainingSetup
from workers.methods.declaration.knob_kinds import alpha, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.declaration.peft_method import per_layer, two_factors
from workers.methods.forms.direction_pools import give, install_pooled, pools_of, share_out
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

_HIGHEST = 4  # times the mean rank


def _knobs(model: ModelDescription) -> Knobs:
    own = (rank(model), Int("least_rank", 0, 1), Ordinal("samples", (32, 64, 128, 256, 512)))
    return Knobs((*own, alpha(), *placement(model)), defaults={"least_rank": 1, "samples": 128})


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.low_rank import PooledLora

    return install_pooled(base, knobs, generator, PooledLora)


def _allocate(base: Base, knobs: KnobValues, setup: TrainingSetup) -> None:
    from workers.methods.calibration import layers_of, weight_gradients
    from workers.methods.forms.low_rank import PooledLora

    layers = layers_of(base, PooledLora)
    contributions = {
        (id(layer.pool), layer.number): float(gradient.square().sum())
        for layer, gradient in zip(layers, weight_gradients(base, layers, setup, knobs["samples"]), strict=True)
    }
    for pool in pools_of(base):
        weights = [contributions[id(pool), number] for number in range(pool.members)]
        ranks = share_out(len(pool.owner), weights, knobs["least_rank"], _HIGHEST * knobs["rank"])
        for number, count in enumerate(ranks):
            give(pool, [number] * count)


METHODS = (
    own_method(
        "colora",
        family="low-rank",
        summary="LoRA with ranks in proportion to the contribution of each weight",
        source="CoLoRA, contribution-based low-rank adaptation for image restoration, arXiv 2408.01099",
        learning_rates=LearningRates(5e-5, 1e-2, 7e-4),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(two_factors),
        hooks=OwnHooks(ready=_allocate, probed=lambda knobs: int(knobs["samples"])),
        variant_of="lora",
    ),
)

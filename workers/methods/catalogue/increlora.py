"""`increlora`: every layer starts with rank 1, and training adds directions where they matter until the budget is used.

Certain: growth instead of pruning, the score of a layer (sensitivity |w · ∂loss/∂w| smoothed, times its smoothed
spread, both with 0.85), and that the highest scores grow until the ranks add up to the target. Choices: the sensitivity
is summed over the n entries of the layer's factors and divided by √n; layers compete with layers of their own shape;
growth lies between a tenth and six tenths of the training; new directions enter untrained (A random, B zero) where the
paper trains them in advance, and the factors carry no orthogonality penalty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Ordinal
from workers.methods.attached import TrainingSetup
from workers.methods.declaration.knob_kinds import alpha, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.declaration.peft_method import per_layer, two_factors
from workers.methods.forms.direction_pools import give, give_each, growths, install_pooled, pools_of
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.methods.forms.low_rank import DirectionPool
    from workers.models.loading import Base

_SMOOTHING = 0.85


def _knobs(model: ModelDescription) -> Knobs:
    own = (rank(model), Ordinal("growths", (4, 8, 16)), Ordinal("growing_share", (0.25, 0.5, 0.75)))
    return Knobs((*own, alpha(), *placement(model)), defaults={"growths": 8, "growing_share": 0.5})


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    import torch

    from workers.methods.forms.low_rank import PooledLora

    trained = install_pooled(base, knobs, generator, PooledLora)
    for pool in pools_of(base):
        give_each(pool, 1)
        pool.register_buffer("sensitivity", torch.zeros(pool.members, device=base.model.device))
        pool.register_buffer("spread", torch.zeros(pool.members, device=base.model.device))
    return trained


def _grow(base: Base, knobs: KnobValues, setup: TrainingSetup, step: int) -> None:
    import torch

    for pool in pools_of(base):
        now, sensitivity, spread = _sensitivities(pool), pool.get_buffer("sensitivity"), pool.get_buffer("spread")
        sensitivity.lerp_(now, 1 - _SMOOTHING)
        spread.lerp_((now - sensitivity).abs(), 1 - _SMOOTHING)
        done = growths(step, setup.total_steps, knobs["growths"])
        grown = pool.members + round((len(pool.owner) - pool.members) * done / knobs["growths"])
        missing = grown - int(pool.ranks().sum())
        order = torch.argsort(sensitivity * spread, descending=True, stable=True).tolist()
        growing = order[: max(1, round(knobs["growing_share"] * pool.members))]
        give(pool, (growing[turn % len(growing)] for turn in range(missing)))


def _sensitivities(pool: DirectionPool) -> Tensor:
    """Sum of |w · ∂loss/∂w| over the n entries of each layer's factors, over √n [layers]."""
    import torch

    rows = torch.zeros(len(pool.owner), device=pool.owner.device)
    for value in (pool.first, pool.second):
        if value.grad is not None:
            rows += (value.detach() * value.grad).abs().sum(1)
    owned = pool.owner >= 0
    sums = torch.zeros_like(pool.get_buffer("sensitivity")).index_add_(0, pool.owner[owned], rows[owned])
    return sums / (pool.ranks() * (pool.first.shape[1] + pool.second.shape[1])).sqrt()


METHODS = (
    own_method(
        "increlora",
        family="low-rank",
        summary="LoRA whose ranks grow during training in the layers that need it",
        source="Zhang et al. 2023, IncreLoRA, arXiv 2308.12043",
        learning_rates=LearningRates(1e-4, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(two_factors),
        hooks=OwnHooks(after_step=_grow),
    ),
)

"""Ranks that training gives out: what `colora`, `increlora` and `triadaptlora` share. Imports no torch at the top.

Layers of one shape share a pool of rank · layers directions (`workers.methods.forms.low_rank.DirectionPool`), so the
number of trained parameters is that of a LoRA of this rank, whoever gets how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from workers.methods.declaration.knob_kinds import placed
from workers.methods.declaration.method import KnobValues
from workers.models.anatomy import Linear

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.methods.forms.low_rank import DirectionPool, PooledLora, TriangularLora
    from workers.models.loading import Base

_GROWTH_START, _GROWTH_END = 0.1, 0.6  # of all steps: early enough for the last direction to be trained


def install_pooled(
    base: Base, knobs: KnobValues, generator: torch.Generator, form: type[PooledLora] | type[TriangularLora]
) -> dict[str, nn.Parameter]:
    """Put `form` on the placed layers, with a pool for each shape (in, out); nobody has a direction yet."""
    from workers.methods.forms.low_rank import DirectionPool
    from workers.methods.forms.reweighted import reweight

    places = placed(base.description, knobs)
    shapes = [(linear.in_features, linear.out_features) for _, linear in places]
    pools = {
        sides: DirectionPool(count, count * knobs["rank"], sides, generator)
        for sides in dict.fromkeys(shapes)
        if (count := shapes.count(sides))
    }
    taken = dict.fromkeys(pools, 0)

    def make(module: nn.Module, linear: Linear) -> PooledLora | TriangularLora:
        sides = (linear.in_features, linear.out_features)
        taken[sides] += 1
        return form(module, linear.transposed, pools[sides], taken[sides] - 1, knobs["alpha"] / knobs["rank"])

    return reweight(base, places, make)


def pools_of(base: Base) -> Iterator[DirectionPool]:
    """The pools of an installed method."""
    from workers.methods.forms.low_rank import DirectionPool

    return (module for module in base.model.modules() if isinstance(module, DirectionPool))


def give_each(pool: DirectionPool, count: int) -> None:
    """Hand `count` directions to every layer of a pool."""
    for _ in range(count):
        give(pool, range(pool.members))


def give(pool: DirectionPool, layers: Iterable[int]) -> None:
    """Hand a direction to each of these layers, as long as there are free ones."""
    for layer in layers:
        pool.give(layer)


def growths(step: int, total_steps: int, events: int) -> int:
    """How many of `events` growths are due by `step`: they are spread evenly over the middle of the training."""
    share = (step / total_steps - _GROWTH_START) / (_GROWTH_END - _GROWTH_START)
    return max(0, min(events, int(share * events)))


def share_out(budget: int, weights: list[float], low: int, high: int) -> list[int]:
    """`budget` directions in proportion to `weights`, each part from `low` to `high`; the parts add up to the budget.

    Needs low · parts ≤ budget ≤ high · parts.
    """
    total = sum(weights)
    wishes = [budget * weight / total if total > 0 else budget / len(weights) for weight in weights]
    parts = [low] * len(weights)
    for _ in range(budget - sum(parts)):
        below = [part for part in range(len(parts)) if parts[part] < high]
        parts[max(below, key=lambda part: wishes[part] - parts[part])] += 1
    return parts

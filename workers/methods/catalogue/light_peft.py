"""`light_peft`: what a task does not need of the base and of a LoRA is taken out after a short estimation.

Certain: masks on heads and on units of the feed-forward part are trained together with the updates, with an L1 penalty;
then the heads and units with the smallest masks are taken out of the base for good; of the updates those go that do
least beside what their layer gives, and of the rest the directions with the least first-order sensitivity; the training
proper begins anew on what is left. Choices: every layer loses as many heads and units as the others; layers of one
shape share the directions that are left; the estimation takes steps of 16 rows at rates of its own; the size of the
product of weight and gradient is summed entry by entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Ordinal
from workers.methods.attached import TrainingSetup
from workers.methods.declaration.knob_kinds import alpha, rank
from workers.methods.declaration.left_sizes import has_heads, has_units, left_of, left_sizes
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import HEADS_GO
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.forms.direction_pools import give
from workers.models.anatomy import Anatomy, Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.methods.forms.early_pruning import Estimate
    from workers.methods.forms.low_rank import DirectionPool
    from workers.methods.forms.pruned_heads import SmallerLora
    from workers.models.loading import Base

_KEPT = (0.25, 0.5, 0.75, 1.0)


def _knobs(model: ModelDescription) -> Knobs:
    own = (
        rank(model),
        Ordinal("rank_kept", _KEPT),
        Ordinal("layers_kept", _KEPT),
        Float("pruned_heads", 0.0, 0.5),
        Float("pruned_units", 0.0, 0.6),
        Ordinal("samples", (64, 128, 256, 512, 1024, 2048)),
        Float("penalty", 1e-6, 1e-2, scale="log"),
        alpha(),
    )
    half = {"rank_kept": 0.5, "layers_kept": 0.5, "pruned_heads": 1 / 3, "pruned_units": 0.4}
    return Knobs(own, defaults={**half, "samples": 512, "penalty": 1e-4})


def budget(members: int, knobs: KnobValues) -> tuple[int, int]:
    """Of layers of one shape how many keep an update, and how many directions they have together."""
    layers = max(1, round(knobs["layers_kept"] * members))
    return layers, layers * max(1, round(knobs["rank_kept"] * knobs["rank"]))


def _counts(anatomy: Anatomy, knobs: KnobValues) -> tuple[int, int]:
    """Heads and units that a layer keeps."""
    return left_of(anatomy.heads, knobs["pruned_heads"]), left_of(anatomy.intermediate_size, knobs["pruned_units"])


def _shapes(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, int]]:
    """Rows and columns that are left of each weight, from the lowest up."""
    return [left_sizes(model.anatomy, linear, *_counts(model.anatomy, knobs)) for _, linear in model.linears()]


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    import torch

    from workers.methods.forms.low_rank import DirectionPool
    from workers.methods.forms.pruned_heads import SmallerLora
    from workers.methods.forms.reweighted import reweight

    model, scale = base.description, knobs["alpha"] / knobs["rank"]
    shapes = _shapes(model, knobs)
    pools = {
        kept: DirectionPool(count, budget(count, knobs)[1], kept[::-1], generator)
        for kept in dict.fromkeys(shapes)
        if (count := shapes.count(kept))
    }
    taken = dict.fromkeys(pools, 0)

    def make(module: nn.Module, linear: Linear) -> SmallerLora:
        kept = left_sizes(model.anatomy, linear, *_counts(model.anatomy, knobs))
        taken[kept] += 1
        draw = int(torch.randint(2**31, (), generator=generator))
        return SmallerLora(module, linear.transposed, kept, pools[kept], taken[kept] - 1, scale, draw)

    return reweight(base, model.linears(), make)


def _prune(base: Base, knobs: KnobValues, setup: TrainingSetup) -> None:
    """Estimate what is needed, and keep it."""
    from workers.methods.calibration import layers_of, some_batches
    from workers.methods.forms.early_pruning import estimates
    from workers.methods.forms.pruned_heads import SmallerLora

    model = base.description
    places = list(zip(layers_of(base, SmallerLora), model.linears(), strict=True))
    groups = {layer: _groups(model.anatomy, linear) for layer, (_, linear) in places}
    rows = some_batches(setup, knobs["samples"])
    found = estimates(base, groups, setup, rows, knobs["rank"], knobs["penalty"])
    for number in range(model.anatomy.layers):
        inside = {linear: layer for layer, (at, linear) in places if at == number}
        _take(model.anatomy, inside, {linear: found[layer].masks for linear, layer in inside.items()}, knobs)
    for pool in dict.fromkeys(layer.pool for layer in found):
        _share_out(pool, [(layer.number, one) for layer, one in found.items() if layer.pool is pool], knobs)


def _groups(anatomy: Anatomy, linear: Linear) -> int:
    """Groups of a weight's inputs that may go: heads, units of the feed-forward part, or none."""
    return anatomy.heads if has_heads(linear)[1] else anatomy.intermediate_size if has_units(linear)[1] else 0


def _take(
    anatomy: Anatomy, inside: Mapping[Linear, SmallerLora], masks: Mapping[Linear, Tensor | None], knobs: KnobValues
) -> None:
    """Keep the heads and the units of one layer whose masks are largest."""
    import torch

    heads, units = _counts(anatomy, knobs)
    for has, count, each in ((has_heads, heads, anatomy.head_size), (has_units, units, 1)):
        (sizes,) = (mask for linear, mask in masks.items() if has(linear)[1])
        assert sizes is not None
        best = sizes.topk(count).indices.sort().values
        kept = (best[:, None] * each + torch.arange(each, device=best.device)).flatten()
        for linear, layer in inside.items():
            for places, here in zip((layer.rows, layer.columns), has(linear), strict=True):
                if here:
                    places.copy_(kept)


def _share_out(pool: DirectionPool, found: Sequence[tuple[int, Estimate]], knobs: KnobValues) -> None:
    """Give directions to the layers whose updates did most, where the loss was most sensitive to them."""
    layers, directions = budget(pool.members, knobs)
    most = sorted(found, key=lambda one: -one[1].ratio)[:layers]
    wishes = sorted(((float(value), number) for number, one in most for value in one.sensitivity), reverse=True)
    give(pool, sorted(number for _, number in wishes[:directions]))


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    shapes = _shapes(model, knobs)
    return sum(budget(shapes.count(kept), knobs)[1] * sum(kept) for kept in dict.fromkeys(shapes))


METHODS = (
    own_method(
        "light_peft",
        family="low-rank",
        summary="LoRA on a base without the heads and units that a short estimation finds idle",
        source="Gu et al. 2024, Light-PEFT, arXiv 2406.03792",
        learning_rates=LearningRates(5e-5, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        lowest_layer=lambda _model, _knobs: 0,
        hooks=OwnHooks(ready=_prune, probed=lambda knobs: int(knobs["samples"])),
        needs=(HEADS_GO,),
        mergeable=False,  # no model of transformers has layers of these sizes
        unchanged_at_start=False,
    ),
)

"""`dylora`: one training serves every rank up to the largest, because each step uses a random number of directions.

Certain: nested truncation and the scale α / b. Choices: b is uniform, is the same in all layers, and follows from the
number of the step, so that a resumed training draws the same. A trial reports its metrics at every power of two below
its rank, too (`workers.running.ranks`), and a search learns from all of them:
`peftsearch.load_adapter(base, folder, rank=4)` takes the trained adapter at any lower rank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.methods.declaration.knob_kinds import alpha, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates, Tensors
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.declaration.peft_method import per_layer, two_factors
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.models.loading import Base

_MULTIPLIER = 2654435761  # Knuth's multiplicative hash


def _knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model), alpha(), *placement(model)))


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.weights import NestedLora

    def make(module: nn.Module, linear: Linear) -> NestedLora:
        return NestedLora(module, linear.transposed, knobs["rank"], knobs["alpha"], generator)

    return reweight(base, placed(base.description, knobs), make)


def _draw_rank(base: Base, step: int) -> None:
    from workers.methods.forms.weights import NestedLora

    for module in base.model.modules():
        if isinstance(module, NestedLora):
            module.use_rank(1 + (step * _MULTIPLIER % 2**32) * len(module.first) // 2**32)


def _serve(base: Base, rank: int) -> None:
    from workers.methods.forms.weights import NestedLora

    for module in base.model.modules():
        if isinstance(module, NestedLora):
            module.serve(rank)


def _at_rank(knobs: KnobValues, tensors: Tensors, rank: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The first directions alone, which training has seen with the scale α / rank."""
    cut = {"first": lambda value: value[:rank], "second": lambda value: value[:, :rank]}
    narrow = {name: cut.get(name.rpartition(".")[2], lambda value: value)(value) for name, value in tensors.items()}
    return {**knobs, "rank": rank}, narrow


METHODS = (
    own_method(
        "dylora",
        family="low-rank",
        summary="LoRA trained for every rank up to the largest at once",
        source="Valipour et al. 2022, DyLoRA, arXiv 2210.07558",
        learning_rates=LearningRates(5e-5, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(two_factors),
        hooks=OwnHooks(next_step=_draw_rank),
        at_rank=_at_rank,
        serve=_serve,
    ),
)

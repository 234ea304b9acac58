"""`lst`, `unipt`, `sherl`: small networks that read the outputs of the frozen layers. No gradient passes through these.

All hidden states are read, so nothing of the frozen model can be left out while training. What is certain and what is
a choice:

- LST: gated ladder connections with temperature 0.1, side blocks that are small transformer blocks (attention and
  feed-forward part, all sizes divided by the same number, as many heads as the backbone where that divides), fewer of
  them than layers where asked. Choices: a block reads the output of its layer; norms stand before attention and
  feed-forward part whatever the backbone does; blocks start at random, not pruned from the backbone; the result is
  added to the backbone's instead of taking its place, so that training starts from the base.
- UniPT: every layer is narrowed on its own and on detached states, the last layer's tokens attend to those of every
  layer, a learnt confidence weighs the layers. Choices: softmax in both places, the tanh inside the confidence.
- SHERL: early layers are consolidated without redundancy and without gradient, the last few layers pass gradients on.
  Choices: redundancy is what lies along the running sum (the paper weighs layers by their similarity), the gates, the
  gelu behind it. No late layer is trained.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Int, Ordinal
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import KNOWN_PARTS, OWN_LAYERS
from workers.methods.declaration.own_method import own_method
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.methods.forms.side_network import SideNetwork
    from workers.models.loading import Base


def _reduction(model: ModelDescription) -> Ordinal:
    return Ordinal("reduction", tuple(value for value in (2, 4, 8, 16) if model.shape.hidden_size // value >= 1))


def _knobs(model: ModelDescription) -> Knobs:
    return Knobs((_reduction(model),), defaults={"reduction": 8})


def _sherl_knobs(model: ModelDescription) -> Knobs:
    late = Int("late_layers", 0, min(3, model.shape.layers - 1))
    own = (_reduction(model), late, Float("anti_redundancy", 0.0, 1.0))
    return Knobs(own, defaults={"reduction": 8, "late_layers": min(1, late.high), "anti_redundancy": 1.0})


def _width(model: ModelDescription, knobs: KnobValues) -> int:
    return model.shape.hidden_size // int(knobs["reduction"])


def _narrowing(model: ModelDescription, knobs: KnobValues, layers: int) -> int:
    """A linear layer down for each of `layers`, and one up."""
    hidden, width = model.shape.hidden_size, _width(model, knobs)
    return layers * (hidden * width + width) + width * hidden + hidden


def _ladder_knobs(model: ModelDescription) -> Knobs:
    layers = model.shape.layers
    return Knobs((_reduction(model), Int("blocks", 1, layers)), defaults={"reduction": 8, "blocks": layers})


def _inner(model: ModelDescription, knobs: KnobValues) -> int:
    return max(1, model.shape.intermediate_size // int(knobs["reduction"]))


def _rungs(model: ModelDescription, knobs: KnobValues) -> list[int]:
    """The layers with a side block: the last, and the others at even distances below it."""
    layers, blocks = model.shape.layers, int(knobs["blocks"])
    return [layers * (number + 1) // blocks - 1 for number in range(blocks)]


def _ladder_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    width, inner, blocks = _width(model, knobs), _inner(model, knobs), int(knobs["blocks"])
    attention = 4 * width * width + 4 * width
    feed_forward = 2 * width * inner + inner + width
    return _narrowing(model, knobs, blocks) + blocks * (attention + feed_forward + 4 * width + 1)


def _parallel_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    return _narrowing(model, knobs, model.shape.layers) + _width(model, knobs)


def _consolidating_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    early = model.shape.layers - int(knobs["late_layers"])
    return _narrowing(model, knobs, early) + early


def _install_ladder(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.side_network import LadderSide, SideShape

    model, parts = base.description, base.description.anatomy
    width = _width(model, knobs)
    shape = SideShape(width, _inner(model, knobs), gcd(parts.heads, width))
    return _beside(base, LadderSide(parts.hidden_size, shape, _rungs(model, knobs), parts.causal, generator))


def _install_parallel(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.side_network import ParallelSide

    parts = base.description.anatomy
    side = ParallelSide(parts.hidden_size, _width(base.description, knobs), parts.layers, generator)
    return _beside(base, side)


def _install_consolidating(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.side_network import ConsolidatingSide

    parts, width = base.description.anatomy, _width(base.description, knobs)
    joins = parts.layers - 1 - knobs["late_layers"]
    return _beside(base, ConsolidatingSide(parts.hidden_size, width, joins, knobs["anti_redundancy"], generator))


def _beside(base: Base, side: SideNetwork) -> dict[str, nn.Parameter]:
    side.to(base.model.device)
    base.model.add_module("side_network", side)
    side.watch_mask(base.model)
    side.watch(base.model.get_submodule(base.description.anatomy.layers_path))  # type: ignore[arg-type]
    return dict(side.named_parameters())


def _bottom(_model: ModelDescription, _knobs: KnobValues) -> int:
    return 0


METHODS = (
    own_method(
        "lst",
        family="adapter",
        summary="a ladder of small transformer blocks beside the frozen one",
        source="Sung et al. 2022, LST, arXiv 2206.06522",
        learning_rates=LearningRates(1e-4, 3e-2, 2e-3),
        knobs=_ladder_knobs,
        install=_install_ladder,
        trainable_parameters=_ladder_parameters,
        lowest_layer=_bottom,
        mergeable=False,
        whole_rows=True,
        needs=(OWN_LAYERS, KNOWN_PARTS),
    ),
    own_method(
        "unipt",
        family="adapter",
        summary="narrowed layers, read by the last one's tokens and weighed by a learnt confidence",
        source="Diao et al. 2023, UniPT, arXiv 2308.14316",
        learning_rates=LearningRates(1e-4, 3e-2, 2e-3),
        knobs=_knobs,
        install=_install_parallel,
        trainable_parameters=_parallel_parameters,
        lowest_layer=_bottom,
        mergeable=False,
        whole_rows=True,
        needs=(OWN_LAYERS, KNOWN_PARTS),
    ),
    own_method(
        "sherl",
        family="adapter",
        summary="what is new in each early layer, summed and fed to the last few",
        source="Diao et al. 2024, SHERL, arXiv 2407.07523",
        learning_rates=LearningRates(1e-4, 3e-2, 2e-3),
        knobs=_sherl_knobs,
        install=_install_consolidating,
        trainable_parameters=_consolidating_parameters,
        lowest_layer=_bottom,
        mergeable=False,
        needs=(OWN_LAYERS, KNOWN_PARTS),
    ),
)

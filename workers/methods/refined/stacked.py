"""`stacked`: a LoRA on top of stored adapters that stay as they are, as adapters of a language and of a task stack.

Certain (Pfeiffer et al. 2020, MAD-X; Litschko et al. 2022 for rerankers): what was learnt of a language is frozen under
what is learnt of a task, and both are used. Choices: low-rank updates beside the weights in place of bottlenecks behind
sublayers, so that both are added to a weight and fold into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Int
from workers.methods.declaration.knob_kinds import placed
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import own_method
from workers.methods.declaration.peft_method import per_layer
from workers.methods.refined.scalearn import MOST_RANK, of_sources
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    return Knobs((*of_sources(model), Int("own_rank", 1, MOST_RANK, scale="log")))


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:

    from workers.methods.forms.reweighted import reweight
    from workers.methods.forms.sources import StackedSources

    def make(original: nn.Module, linear: Linear) -> StackedSources:
        sizes = (int(knobs["sources"]), int(knobs["rank"]), linear.in_features, linear.out_features)
        return StackedSources(original, linear.transposed, sizes, int(knobs["own_rank"]), generator)

    return reweight(base, placed(base.description, knobs), make)


METHODS = (
    own_method(
        "stacked",
        family="mixed",
        summary="a LoRA on top of stored adapters that stay as they are",
        source="Pfeiffer et al. 2020, MAD-X, arXiv 2005.00052; Litschko et al. 2022, arXiv 2204.02292",
        learning_rates=LearningRates(5e-5, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(
            lambda linear, knobs: knobs["own_rank"] * (linear.in_features + linear.out_features)
        ),
    ),
)

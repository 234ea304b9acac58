"""`dsee`: a base without some of its attention heads and many of its weights, with a low-rank and a sparse update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Int
from workers.methods.declaration.knob_kinds import rank
from workers.methods.declaration.left_sizes import left_of, left_sizes
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import HEADS_GO
from workers.methods.declaration.own_method import own_method
from workers.models.anatomy import Anatomy, Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _knobs(_model: ModelDescription) -> Knobs:
    own = (Float("pruned_heads", 0.0, 0.75), Float("sparsity", 0.0, 0.9), Int("entries", 1, 4096, scale="log"))
    return Knobs((rank(_model, high=16, mode=8), *own), defaults={"pruned_heads": 0.25, "sparsity": 0.5, "entries": 64})


def heads_left(anatomy: Anatomy, knobs: KnobValues) -> int:
    """How many heads a layer keeps."""
    return left_of(anatomy.heads, knobs["pruned_heads"])


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.pruned_heads import SmallerLayer
    from workers.methods.forms.reweighted import reweight

    anatomy = base.description.anatomy

    def make(module: nn.Module, linear: Linear) -> SmallerLayer:
        kept = left_sizes(anatomy, linear, heads_left(anatomy, knobs))
        return SmallerLayer(
            module, linear.transposed, kept, knobs["sparsity"], knobs["rank"], knobs["entries"], generator
        )

    return reweight(base, base.description.linears(), make)


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    total = 0
    for _, linear in model.linears():
        outputs, inputs = left_sizes(model.anatomy, linear, heads_left(model.anatomy, knobs))
        total += int(knobs["rank"]) * (outputs + inputs) + min(int(knobs["entries"]), outputs * inputs)
    return total


METHODS = (
    own_method(
        "dsee",
        family="sparse",
        summary="low-rank and sparse updates of a base with fewer heads and weights",
        source="Chen et al. 2021, DSEE, arXiv 2111.00160",
        learning_rates=LearningRates(5e-5, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        lowest_layer=lambda _model, _knobs: 0,
        needs=(HEADS_GO,),
        mergeable=False,  # no model of transformers has layers of these sizes
        unchanged_at_start=False,
    ),
)

"""`dsee`: a base without some of its attention heads and many of its weights, with a low-rank and a sparse update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Int
from workers.methods.declaration.knob_kinds import rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import Need
from workers.methods.declaration.own_method import own_method
from workers.models.anatomy import Anatomy, Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

_FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
HEADS_GO = Need(
    f"models whose attention takes as many heads as its projections give ({', '.join(_FAMILIES)})",
    lambda anatomy: anatomy.model_type in _FAMILIES,
)


def _knobs(_model: ModelDescription) -> Knobs:
    own = (Float("pruned_heads", 0.0, 0.75), Float("sparsity", 0.0, 0.9), Int("entries", 1, 4096, scale="log"))
    return Knobs((rank(_model, high=16, mode=8), *own), defaults={"pruned_heads": 0.25, "sparsity": 0.5, "entries": 64})


def heads_left(anatomy: Anatomy, knobs: KnobValues) -> int:
    """How many heads a layer keeps: at least one."""
    return anatomy.heads - min(anatomy.heads - 1, int(knobs["pruned_heads"] * anatomy.heads + 1e-9))


def by_heads(linear: Linear) -> tuple[bool, bool]:
    """Whether heads are rows of a weight, as of projections, and whether they are columns, as of what joins them."""
    return bool(linear.groups & {"query", "key", "value"}), "output" in linear.groups


def kept_sizes(anatomy: Anatomy, linear: Linear, knobs: KnobValues) -> tuple[int, int]:
    """Rows and columns of a weight that is left."""
    heads = heads_left(anatomy, knobs) * anatomy.head_size
    in_rows, in_columns = by_heads(linear)
    return heads if in_rows else linear.out_features, heads if in_columns else linear.in_features


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.pruned_heads import SmallerLayer
    from workers.methods.forms.reweighted import reweight

    anatomy = base.description.anatomy

    def make(module: nn.Module, linear: Linear) -> SmallerLayer:
        kept = kept_sizes(anatomy, linear, knobs)
        return SmallerLayer(
            module, linear.transposed, kept, knobs["sparsity"], knobs["rank"], knobs["entries"], generator
        )

    return reweight(base, base.description.linears(), make)


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    total = 0
    for _, linear in model.linears():
        outputs, inputs = kept_sizes(model.anatomy, linear, knobs)
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

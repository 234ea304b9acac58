"""`lisa`: a few layers at a time.

Certain: γ of the layers are drawn uniformly every K steps, what lies outside the layers is always trained, the
optimizer forgets layers that rest. With `full_ft` of all layers the former are embeddings and head, as in the paper. A
choice: it trains any other method that sits in layers, too; of these the head alone is always trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Int, Parameter
from search_spaces.priors import Bell
from workers.models.description import ModelDescription
from workers.strategies.strategy import KnobValues, Strategy, Subject, per_layer

if TYPE_CHECKING:
    from workers.strategies.tensor_adamw import TensorAdamW


def _knobs(model: ModelDescription) -> tuple[Parameter, ...]:
    layers = min(8, model.shape.layers)
    return (
        Int("layers", 1, layers, prior=Bell(min(2, layers), spread=0.3)),
        Int("interval", 3, 50, scale="log", prior=Bell(20, spread=0.3)),
    )


def _run(subject: Subject, knobs: KnobValues) -> TensorAdamW:
    from workers.strategies.sampled_layers import Lisa

    return Lisa(subject, knobs["layers"], knobs["interval"])


LISA = Strategy(
    name="lisa",
    summary="a few layers drawn anew every few steps; the others rest",
    source="Pan et al. 2024, LISA, arXiv 2403.17919",
    knobs=_knobs,
    refusal=per_layer,
    run=_run,
    samples=True,
)

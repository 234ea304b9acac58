"""`hft`: another half of the weights every few steps.

Certain: a random half of the weights in layers is trained and the other half frozen, bit for bit, and the halves are
drawn anew as training goes on. Choices: anew every K steps (the paper: for each round of tuning; the method `half_ft`
keeps one choice for a whole training), the optimizer forgets what rests, and what lies outside of the layers is always
trained. Whole tensors, or whole layers, come as near to the fraction as they can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Float, Int, Parameter
from search_spaces.priors import Bell
from workers.models.description import ModelDescription
from workers.strategies.strategy import KnobValues, Strategy, Subject, per_layer

if TYPE_CHECKING:
    from workers.strategies.tensor_adamw import TensorAdamW


def _knobs(_model: ModelDescription) -> tuple[Parameter, ...]:
    return (
        Float("fraction", 0.1, 0.9, prior=Bell(0.5, spread=0.3)),
        Categorical("grain", ("tensor", "layer")),
        Int("interval", 5, 500, scale="log", prior=Bell(50, spread=0.3)),
    )


def _run(subject: Subject, knobs: KnobValues) -> TensorAdamW:
    from workers.strategies.sampled_layers import Hft

    return Hft(subject, knobs["fraction"], knobs["grain"], knobs["interval"])


HFT = Strategy(
    name="hft",
    summary="another half of the weights in layers every few steps; the others rest",
    source="Hui et al. 2024, HFT, arXiv 2404.18466",
    knobs=_knobs,
    refusal=per_layer,
    run=_run,
    samples=True,
)

"""`ist`: in each step the layers that seem to matter.

Certain: importance sampling for updates, suppression of other layers every few steps, the reward exp(−loss) without
its mean, three tries, half of the layers, a factor of 0.25. Choices: what is suppressed is how far a layer's
parameters have come from their start, which has a meaning for every method; the head is always trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Int, Parameter
from search_spaces.priors import Bell
from workers.models.description import ModelDescription
from workers.strategies.strategy import KnobValues, StepLosses, Strategy, Subject, per_layer

if TYPE_CHECKING:
    from workers.strategies.tensor_adamw import TensorAdamW


TRIES = 3
"""Losses with half of the layers suppressed, each time the importance is learnt."""


def _knobs(_model: ModelDescription) -> tuple[Parameter, ...]:
    return (
        Float("share", 0.1, 0.5, prior=Bell(0.25, spread=0.3)),
        Int("interval", 5, 50, scale="log", prior=Bell(10, spread=0.3)),
        Float("rate", 1.0, 20.0, scale="log", prior=Bell(10.0, spread=0.3)),
    )


def _run(subject: Subject, knobs: KnobValues) -> TensorAdamW:
    from workers.strategies.sampled_layers import Ist

    return Ist(subject, knobs["share"], knobs["interval"], knobs["rate"])


IST = Strategy(
    name="ist",
    summary="in each step a share of the layers, by an importance learnt from suppressing layers",
    source="Yao et al. 2024, IST, arXiv 2410.11772",
    knobs=_knobs,
    refusal=per_layer,
    run=_run,
    samples=True,
    losses=lambda knobs: StepLosses(without_gradients=TRIES / knobs["interval"]),
)

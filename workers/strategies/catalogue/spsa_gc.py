"""`spsa_gc`: steps from two losses each, without a backward pass.

Certain (the authors' code, changdaeoh/BlackVIP): the two-sided estimate with sizes from ½ to 1, averaged over draws;
the look-ahead form of momentum; both decays and the offset o of the rate; no gradient correction in the first step.
Choices: the rate is that of the trial, with its warm-up and schedule, times a gain; estimates are clipped as gradients
are (`max_grad_norm`, 0 is off); dropout is off in the losses, so that the two differ by the perturbation alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Int, Parameter
from search_spaces.priors import Bell
from workers.methods.declaration.method import Method
from workers.models.description import ModelDescription
from workers.strategies.strategy import KnobValues, StepLosses, Strategy, Subject

if TYPE_CHECKING:
    from workers.strategies.tensor_adamw import TensorAdamW


def _knobs(_model: ModelDescription) -> tuple[Parameter, ...]:
    return (
        Float("size", 1e-3, 0.1, scale="log", prior=Bell(0.01, spread=0.3)),
        Float("size_decay", 0.0, 0.2, prior=Bell(0.1, spread=0.3)),
        Float("gain", 0.1, 1000.0, scale="log", prior=Bell(10.0, spread=0.3)),
        Float("gain_decay", 0.0, 0.6, prior=Bell(0.4, spread=0.3)),
        Int("offset", 0, 100, prior=Bell(1, spread=0.3)),
        Float("momentum", 0.0, 0.95, prior=Bell(0.9, spread=0.2)),
        Int("averaged", 1, 10, prior=Bell(5, spread=0.3)),
    )


def _refusal(method: Method, _model: ModelDescription) -> str | None:
    return "a method that does not look at gradients itself" if method.follows_gradients else None


def _run(subject: Subject, knobs: KnobValues) -> TensorAdamW:
    from workers.strategies.perturbed import SpsaGc

    return SpsaGc(
        subject,
        (knobs["size"], knobs["size_decay"]),
        (knobs["gain"], knobs["gain_decay"], knobs["offset"]),
        knobs["momentum"],
        knobs["averaged"],
    )


SPSA_GC = Strategy(
    name="spsa_gc",
    summary="steps from two losses each, without gradients, with a look-ahead correction",
    source="Oh et al. 2023, BlackVIP, arXiv 2303.14773",
    knobs=_knobs,
    refusal=_refusal,
    run=_run,
    losses=lambda knobs: StepLosses(with_gradients=0.0, without_gradients=2.0 * knobs["averaged"]),
)

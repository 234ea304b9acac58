"""`e2e_qp` and `l4q`: train inside a linearly quantised model.

E2E-QP freezes the rounded weights and trains the step sizes; L4Q trains a LoRA and the step sizes through the rounding.
Certain: the equations in `workers.methods.forms.quantised`. Choices: steps start where rounding the frozen weights does
least harm (without block-wise calibration before), they are trained as logarithms, so that a learning rate is the share
by which a step changes, and quantisation is simulated in float32, so that only its quality is measured. Exports hold
the whole numbers and their steps beside the adapter (`quantised.safetensors`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Ordinal
from search_spaces.priors import Bell
from workers.methods.declaration.knob_kinds import alpha, divisors, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.declaration.peft_method import per_layer
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _own(model: ModelDescription) -> tuple[Ordinal, Ordinal]:
    return (Ordinal("bits", (2, 3, 4, 6, 8)), divisors("group", model, 8, 128))


def _e2e_knobs(model: ModelDescription) -> Knobs:
    return Knobs((*_own(model), *placement(model)), defaults={"bits": 4})


def _l4q_knobs(model: ModelDescription) -> Knobs:
    own = (
        rank(model, high=32),
        alpha(),
        *_own(model),
        Float("rate_ratio", 0.03, 30.0, scale="log", prior=Bell(3.0, 0.3)),
    )
    return Knobs((*own, *placement(model)), defaults={"bits": 4})


def _step_rate(name: str, knobs: KnobValues) -> float:
    """Steps learn at `rate_ratio` times the rate of the LoRA."""
    return float(knobs["rate_ratio"]) if name.endswith("log_steps") else 1.0


def _install_e2e(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.quantised import TrainedSteps
    from workers.methods.forms.reweighted import reweight

    bits, group = knobs["bits"], knobs["group"]
    places = placed(base.description, knobs)
    return reweight(base, places, lambda module, linear: TrainedSteps(module, linear.transposed, bits, group))


def _install_l4q(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.quantised import QuantisedLora
    from workers.methods.forms.reweighted import reweight

    def make(module: nn.Module, linear: Linear) -> QuantisedLora:
        scale = knobs["alpha"] / knobs["rank"]
        return QuantisedLora(module, linear.transposed, knobs["rank"], scale, knobs["bits"], knobs["group"], generator)

    return reweight(base, placed(base.description, knobs), make)


def _steps(linear: Linear, knobs: KnobValues) -> int:
    return linear.in_features * linear.out_features // int(knobs["group"])


def _l4q_parameters(linear: Linear, knobs: KnobValues) -> int:
    return _steps(linear, knobs) + int(knobs["rank"]) * (linear.in_features + linear.out_features)


METHODS = (
    own_method(
        "e2e_qp",
        family="scaling",
        summary="the step sizes of quantised weights",
        source="Chen et al. 2024, EfficientQAT, arXiv 2407.11062",
        learning_rates=LearningRates(1e-4, 3e-2, 3e-3),
        knobs=_e2e_knobs,
        install=_install_e2e,
        trainable_parameters=per_layer(_steps),
        unchanged_at_start=False,
    ),
    own_method(
        "l4q",
        family="low-rank",
        summary="LoRA and step sizes, trained through the quantisation",
        source="Jeon et al. 2024, L4Q, arXiv 2402.04902",
        learning_rates=LearningRates(1e-5, 5e-3, 5e-4),
        knobs=_l4q_knobs,
        install=_install_l4q,
        trainable_parameters=per_layer(_l4q_parameters),
        hooks=OwnHooks(rate_factor=_step_rate),
        unchanged_at_start=False,
    ),
)

"""`fourierft`, `waveft`, `c3a`: updates that are sparse or structured in a transformed domain.

FourierFT and WaveFT: ΔW is the inverse transform of n trained coefficients at random places. C3A: ΔW is made of
circulant blocks.
"""

from __future__ import annotations

from typing import Any

from search_spaces.parameters import Float, Int
from workers.methods.declaration.knob_kinds import divisors, placement
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import PLAIN_LINEARS
from workers.methods.declaration.peft_method import peft_method, per_layer, target_modules
from workers.models.description import ModelDescription


def _coefficients(model: ModelDescription) -> Int:
    smallest = min(linear.in_features * linear.out_features for linear in model.anatomy.linears)
    return Int("coefficients", 10, max(11, min(5000, smallest // 4)), scale="log")


def _fourier_knobs(model: ModelDescription) -> Knobs:
    return Knobs((_coefficients(model), Float("scaling", 10.0, 300.0, scale="log"), *placement(model)))


def _fourier_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "n_frequency": knobs["coefficients"],
        "scaling": knobs["scaling"],
        "target_modules": target_modules(model, knobs),
    }


def _wave_knobs(model: ModelDescription) -> Knobs:
    return Knobs((_coefficients(model), Float("scaling", 5.0, 100.0, scale="log"), *placement(model)))


def _c3a_knobs(model: ModelDescription) -> Knobs:
    return Knobs((divisors("block_size", model, 4, 512), *placement(model)))


def _c3a_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {"block_size": knobs["block_size"], "target_modules": target_modules(model, knobs)}


METHODS = (
    peft_method(
        "fourierft",
        "FourierFTConfig",
        family="spectral",
        summary="trained Fourier coefficients of the update",
        source="Gao et al. 2024, arXiv 2405.03003",
        learning_rates=LearningRates(1e-3, 3e-1, 3e-2),
        knobs=_fourier_knobs,
        arguments=_fourier_arguments,
        trainable_parameters=per_layer(lambda _linear, knobs: knobs["coefficients"]),
        unchanged_at_start=False,
    ),
    peft_method(
        "waveft",
        "WaveFTConfig",
        family="spectral",
        summary="trained wavelet coefficients of the update",
        source="Bilican et al. 2025, arXiv 2505.12532",
        learning_rates=LearningRates(1e-3, 3e-1, 2e-2),
        knobs=_wave_knobs,
        arguments=_fourier_arguments,
        trainable_parameters=per_layer(lambda _linear, knobs: knobs["coefficients"]),
    ),
    peft_method(
        "c3a",
        "C3AConfig",
        family="spectral",
        summary="block-circulant update",
        source="Chen et al. 2024, arXiv 2407.19342",
        learning_rates=LearningRates(5e-4, 2e-1, 2e-2),
        knobs=_c3a_knobs,
        arguments=_c3a_arguments,
        trainable_parameters=per_layer(
            lambda linear, knobs: linear.in_features * linear.out_features // knobs["block_size"]
        ),
        unchanged_at_start=False,
        needs=(PLAIN_LINEARS,),
    ),
)

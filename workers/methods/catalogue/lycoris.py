"""`loha` and `lokr`: updates that are Hadamard or Kronecker products of small matrices.

LoHa: ΔW = s·(B₁A₁) ⊙ (B₂A₂). LoKr: ΔW = s·C ⊗ (BA), with sides factored as near to the square root as they divide.
"""

from __future__ import annotations

from typing import Any

from search_spaces.parameters import Categorical
from workers.methods.declaration.knob_kinds import alpha, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import PLAIN_LINEARS
from workers.methods.declaration.peft_method import peft_method, per_layer, target_modules
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def _loha_knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model), alpha(), *placement(model)))


def _lokr_knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model), alpha(), Categorical("decompose_both", (False, True)), *placement(model)))


def _arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {"r": knobs["rank"], "alpha": knobs["alpha"], "target_modules": target_modules(model, knobs)}


def _lokr_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {**_arguments(model, knobs), "decompose_both": knobs["decompose_both"]}


def _factors(side: int) -> tuple[int, int]:
    """The two factors of `side` nearest to its square root, smaller first."""
    small = max(value for value in range(1, int(side**0.5) + 1) if side % value == 0)
    return small, side // small


def _lokr_parameters(linear: Linear, knobs: KnobValues) -> int:
    """Either Kronecker factor is low-rank only if that saves something: its rank is below half of its larger side."""
    r = knobs["rank"]
    (out_small, out_large), (in_small, in_large) = _factors(linear.out_features), _factors(linear.in_features)
    split_small = knobs["decompose_both"] and r < max(out_small, in_small) / 2
    first = r * (out_small + in_small) if split_small else out_small * in_small
    second = r * (out_large + in_large) if r < max(out_large, in_large) / 2 else out_large * in_large
    return first + second


METHODS = (
    peft_method(
        "loha",
        "LoHaConfig",
        family="low-rank",
        summary="Hadamard product of two low-rank updates",
        source="Hyeon-Woo et al. 2021, FedPara, arXiv 2108.06098; LyCORIS arXiv 2309.14859",
        learning_rates=LearningRates(1e-4, 2e-2, 2e-3),
        knobs=_loha_knobs,
        arguments=_arguments,
        trainable_parameters=per_layer(
            lambda linear, knobs: 2 * knobs["rank"] * (linear.in_features + linear.out_features)
        ),
        needs=(PLAIN_LINEARS,),
    ),
    peft_method(
        "lokr",
        "LoKrConfig",
        family="low-rank",
        summary="Kronecker product of a small and a low-rank matrix",
        source="Edalati et al. 2022, KronA, arXiv 2212.10650; LyCORIS arXiv 2309.14859",
        learning_rates=LearningRates(1e-4, 2e-2, 2e-3),
        knobs=_lokr_knobs,
        arguments=_lokr_arguments,
        trainable_parameters=per_layer(_lokr_parameters),
        needs=(PLAIN_LINEARS,),
    ),
)

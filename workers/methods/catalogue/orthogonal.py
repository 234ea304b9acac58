"""`oft`, `boft`, `hra`, `psoft`, `road`: multiply weights or activations by (nearly) orthogonal matrices.

All start at the identity. OFT: blocks of size b on the diagonal, Cayley-transformed. BOFT: a product of butterfly
factors of such blocks, with a scale for each output; one factor here, because peft silently uses one wherever its CUDA
extension cannot be built. HRA: a product of Householder reflections, in pairs that cancel at the start (without
Gram-Schmidt, which divides by zero on such pairs). PSOFT: a rotation inside the top principal subspace. RoAd: 2-D
rotations and scales of the outputs.
"""

from __future__ import annotations

from typing import Any

from search_spaces.parameters import Categorical, Ordinal
from workers.methods.declaration.knob_kinds import divisors, even_rank, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import PLAIN_LINEARS
from workers.methods.declaration.peft_method import peft_method, per_layer, target_modules
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def _oft_knobs(model: ModelDescription) -> Knobs:
    own = (divisors("block_size", model, 2, 64), Categorical("block_share", (False, True)))
    return Knobs((*own, *placement(model)))


def _oft_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "oft_block_size": knobs["block_size"],
        "block_share": knobs["block_share"],
        "target_modules": target_modules(model, knobs),
    }


def _oft_parameters(linear: Linear, knobs: KnobValues) -> int:
    size = int(knobs["block_size"])
    blocks = 1 if knobs["block_share"] else linear.in_features // size
    return blocks * size * (size - 1) // 2


def _boft_knobs(model: ModelDescription) -> Knobs:
    return Knobs((divisors("block_size", model, 2, 16), *placement(model)))


def _boft_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "boft_block_size": knobs["block_size"],
        "boft_n_butterfly_factor": 1,
        "target_modules": target_modules(model, knobs),
    }


def _boft_parameters(linear: Linear, knobs: KnobValues) -> int:
    return linear.in_features * int(knobs["block_size"]) + linear.out_features


def _hra_knobs(model: ModelDescription) -> Knobs:
    return Knobs((even_rank(model, high=32), *placement(model)))


def _hra_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "target_modules": target_modules(model, knobs),
    }


def _psoft_knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model, mode=32), Categorical("magnitudes", (True, False)), *placement(model)))


def _psoft_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "psoft_alpha": knobs["rank"],
        "psoft_mag_a": knobs["magnitudes"],
        "psoft_mag_b": knobs["magnitudes"],
        "target_modules": target_modules(model, knobs),
    }


def _psoft_parameters(_linear: Linear, knobs: KnobValues) -> int:
    size = int(knobs["rank"])
    return size * (size - 1) // 2 + (2 * size if knobs["magnitudes"] else 0)


def _road_knobs(model: ModelDescription) -> Knobs:
    groups = divisors("group_size", model, 2, 64)
    even = tuple(size for size in groups.values if size % 2 == 0)
    return Knobs(
        (Categorical("variant", ("road_1", "road_2", "road_4")), Ordinal("group_size", even), *placement(model))
    )


def _road_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "variant": knobs["variant"],
        "group_size": knobs["group_size"],
        "target_modules": target_modules(model, knobs),
    }


def _road_parameters(linear: Linear, knobs: KnobValues) -> int:
    """Angles and scales: one each for a pair of outputs, an output, or two for an output."""
    return int(2 * linear.out_features * {"road_1": 0.5, "road_2": 1, "road_4": 2}[knobs["variant"]])


METHODS = (
    peft_method(
        "oft",
        "OFTConfig",
        family="orthogonal",
        summary="block-diagonal rotation of a layer's input",
        source="Qiu et al. 2023, arXiv 2306.07280",
        learning_rates=LearningRates(1e-4, 2e-2, 2e-3),
        knobs=_oft_knobs,
        arguments=_oft_arguments,
        trainable_parameters=per_layer(_oft_parameters),
        needs=(PLAIN_LINEARS,),
    ),
    peft_method(
        "boft",
        "BOFTConfig",
        family="orthogonal",
        summary="rotation as a product of butterfly factors, with output scales",
        source="Liu et al. 2023, arXiv 2311.06243",
        learning_rates=LearningRates(1e-4, 2e-2, 2e-3),
        knobs=_boft_knobs,
        arguments=_boft_arguments,
        trainable_parameters=per_layer(_boft_parameters),
        needs=(PLAIN_LINEARS,),
    ),
    peft_method(
        "hra",
        "HRAConfig",
        family="orthogonal",
        summary="product of Householder reflections of a layer's input",
        source="Yuan et al. 2024, arXiv 2405.17484",
        learning_rates=LearningRates(1e-4, 2e-2, 2e-3),
        knobs=_hra_knobs,
        arguments=_hra_arguments,
        trainable_parameters=per_layer(lambda linear, knobs: knobs["rank"] * linear.in_features),
        needs=(PLAIN_LINEARS,),
    ),
    peft_method(
        "psoft",
        "PsoftConfig",
        family="orthogonal",
        summary="rotation and scaling inside the top principal subspace of a weight",
        source="PSOFT, arXiv 2505.11235, as implemented in peft 0.21",
        learning_rates=LearningRates(1e-4, 3e-2, 3e-3),
        knobs=_psoft_knobs,
        arguments=_psoft_arguments,
        trainable_parameters=per_layer(_psoft_parameters),
        changes_base=True,
        needs=(PLAIN_LINEARS,),
    ),
    peft_method(
        "road",
        "RoadConfig",
        family="orthogonal",
        summary="2-D rotations and scales of a layer's outputs",
        source="Liao et al. 2024, arXiv 2409.00119",
        learning_rates=LearningRates(5e-4, 3e-2, 5e-3),
        knobs=_road_knobs,
        arguments=_road_arguments,
        trainable_parameters=per_layer(_road_parameters),
        needs=(PLAIN_LINEARS,),
    ),
)

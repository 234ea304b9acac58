"""`vera`, `randlora`, `vblora`, `unilora`, `tinylora`: frozen or shared factors, few trained numbers.

VeRA: ΔW = diag(b)·B·diag(d)·A with A, B random, frozen and shared. RandLoRA: a sum of random bases of full rank,
weighted by diagonal matrices. VB-LoRA: factors put together from a shared bank of vectors. Uni-LoRA: all factors are
entries of one trained vector. TinyLoRA: a trained vector projected into the top singular directions of each weight.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from search_spaces.parameters import Categorical, Int, Ordinal
from workers.methods.declaration.knob_kinds import divisors, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.peft_method import peft_method, per_layer, target_modules
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def _vera_knobs(model: ModelDescription) -> Knobs:
    own = (Ordinal("rank", (16, 32, 64, 128, 256, 512, 1024)), Ordinal("initial_scale", (1e-7, 0.01, 0.1, 1.0)))
    return Knobs((*own, *placement(model)), defaults={"rank": 256, "initial_scale": 0.1})


def _vera_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "d_initial": knobs["initial_scale"],
        "target_modules": target_modules(model, knobs),
        "save_projection": True,
    }


def _randlora_knobs(model: ModelDescription) -> Knobs:
    own = (rank(model, mode=16), Ordinal("scale", (1, 4, 10, 20, 40)), Categorical("sparse", (False, True)))
    return Knobs((*own, *placement(model)), defaults={"scale": 20, "sparse": False})


def _randlora_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "randlora_alpha": knobs["scale"] * knobs["rank"],
        "sparse": knobs["sparse"],
        "target_modules": target_modules(model, knobs),
        "save_projection": True,
    }


def _randlora_parameters(linear: Linear, knobs: KnobValues) -> int:
    narrow = min(linear.in_features, linear.out_features)
    rank = int(knobs["rank"])
    return ceil(narrow / rank) * (rank + narrow)


def _vblora_knobs(model: ModelDescription) -> Knobs:
    own = (Ordinal("vectors", (16, 32, 64, 128, 256)), divisors("vector_length", model, 8, 256), Int("top_k", 1, 4))
    return Knobs((rank(model, high=16, mode=4), *own, *placement(model)))


def _vblora_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "num_vectors": knobs["vectors"],
        "vector_length": knobs["vector_length"],
        "topk": knobs["top_k"],
        "target_modules": target_modules(model, knobs),
    }


def _vblora_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    """The bank, and logits over it for every piece of every factor."""
    pieces = sum(
        (linear.in_features + linear.out_features) // knobs["vector_length"] for _, linear in placed(model, knobs)
    )
    return int(knobs["vectors"] * (knobs["vector_length"] + knobs["rank"] * pieces))


def _unilora_knobs(model: ModelDescription) -> Knobs:
    lengths = Int("length", 16, 65536, scale="log")
    return Knobs((rank(model, mode=4), lengths, *placement(model)), defaults={"length": 1024})


def _unilora_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    pattern = target_modules(model, knobs)
    return {"r": knobs["rank"], "theta_d_length": knobs["length"], "target_modules": pattern}


def _tinylora_knobs(model: ModelDescription) -> Knobs:
    own = (Int("rank", 1, min(16, model.shape.hidden_size // 4)), Int("length", 1, 512, scale="log"))
    return Knobs((*own, *placement(model)), defaults={"rank": 2, "length": 64})


def _tinylora_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "u": knobs["length"],
        "target_modules": target_modules(model, knobs),
    }


METHODS = (
    peft_method(
        "vera",
        "VeraConfig",
        family="shared",
        summary="scales of shared random projections",
        source="Kopiczko et al. 2023, arXiv 2310.11454",
        learning_rates=LearningRates(5e-4, 1e-1, 1e-2),
        knobs=_vera_knobs,
        arguments=_vera_arguments,
        trainable_parameters=per_layer(lambda linear, knobs: knobs["rank"] + linear.out_features),
    ),
    peft_method(
        "tinylora",
        "TinyLoraConfig",
        family="shared",
        summary="a tiny vector for each weight, projected into its top singular directions",
        source="TinyLoRA, as implemented in peft 0.21, without tying",
        learning_rates=LearningRates(1e-3, 1e-1, 1e-2),
        knobs=_tinylora_knobs,
        arguments=_tinylora_arguments,
        trainable_parameters=per_layer(lambda _linear, knobs: knobs["length"]),
    ),
    peft_method(
        "randlora",
        "RandLoraConfig",
        family="shared",
        summary="full-rank sum of scaled random bases",
        source="Albert et al. 2025, arXiv 2502.00987",
        learning_rates=LearningRates(1e-4, 2e-2, 1e-3),
        knobs=_randlora_knobs,
        arguments=_randlora_arguments,
        trainable_parameters=per_layer(_randlora_parameters),
    ),
    peft_method(
        "vblora",
        "VBLoRAConfig",
        family="shared",
        summary="low-rank factors composed from a shared bank of vectors",
        source="Li et al. 2024, arXiv 2405.15179",
        learning_rates=LearningRates(5e-4, 5e-2, 5e-3),
        knobs=_vblora_knobs,
        arguments=_vblora_arguments,
        trainable_parameters=_vblora_parameters,
        unchanged_at_start=False,
    ),
    peft_method(
        "unilora",
        "UniLoraConfig",
        family="shared",
        summary="all low-rank factors read from one trained vector",
        source="Uni-LoRA, arXiv 2506.00799; the LoRA form of the intrinsic dimension of Aghajanyan et al. 2021",
        learning_rates=LearningRates(5e-4, 5e-2, 5e-3),
        knobs=_unilora_knobs,
        arguments=_unilora_arguments,
        trainable_parameters=lambda _model, knobs: knobs["length"],
        unchanged_at_start=False,
    ),
)

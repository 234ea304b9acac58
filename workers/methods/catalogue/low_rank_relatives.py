"""`hira`, `delora`, `gralora`, `glora`, `deft`, `peanut`: other ways to write a cheap update.

HiRA: ΔW = W ⊙ BA. DeLoRA: low rank with a bounded norm. GraLoRA: a low-rank update for each block of a grid. GLoRA:
scales and shifts of weights and biases. DEFT: removes what lies in a learned subspace and writes something else there.
PEANuT: a small
network that reads the weights.
"""

from __future__ import annotations

from typing import Any

from search_spaces.parameters import Categorical, Float, Int, Ordinal
from workers.methods.declaration.knob_kinds import alpha, divisors, dropout, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import KNOWN_PARTS, PLAIN_LINEARS
from workers.methods.declaration.peft_method import peft_method, per_layer, target_modules, two_factors
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription


def _hira_knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model, mode=16), dropout(), *placement(model)), defaults={"dropout": 0.0})


def _hira_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {"r": knobs["rank"], "hira_dropout": knobs["dropout"], "target_modules": target_modules(model, knobs)}


def _delora_knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model), Float("bound", 1.0, 50.0, scale="log"), *placement(model)), defaults={"bound": 15.0})


def _delora_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {"r": knobs["rank"], "delora_lambda": knobs["bound"], "target_modules": target_modules(model, knobs)}


def _gralora_knobs(model: ModelDescription) -> Knobs:
    grid = divisors("grid", model, 1, 4)
    ranks = tuple(value for value in (4, 8, 16, 32, 64) if all(value % cells == 0 for cells in grid.values))
    return Knobs((Ordinal("rank", ranks or (12, 24, 48)), grid, alpha(), *placement(model)))


def _gralora_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "gralora_k": knobs["grid"],
        "alpha": knobs["alpha"],
        "target_modules": target_modules(model, knobs),
    }


def _glora_knobs(model: ModelDescription) -> Knobs:
    weights = Categorical("weights", ("lora", "vector", "constant"))
    biases = Categorical("biases", ("none", "constant", "vector"))
    return Knobs((rank(model, high=32, mode=4), weights, biases, *placement(model)))


def _glora_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "config_A_B": knobs["weights"],
        "config_C": "none",
        "config_D_E": knobs["biases"],
        "target_modules": target_modules(model, knobs),
    }


def _glora_parameters(linear: Linear, knobs: KnobValues) -> int:
    """A scale and a shift of the weights, a scale and a shift of the bias."""
    weights = {"lora": two_factors(linear, knobs), "vector": linear.out_features, "constant": 1}[knobs["weights"]]
    biases = {"none": 0, "constant": 1, "vector": linear.out_features}[knobs["biases"]] if linear.bias else 0
    return 2 * weights + 2 * biases


def _deft_knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model), Categorical("decomposition", ("relu", "qr")), *placement(model)))


def _deft_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "decomposition_method": knobs["decomposition"],
        "target_modules": target_modules(model, knobs),
    }


def _para_knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model), *placement(model)))


def _para_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {"r": knobs["rank"], "para": True, "target_modules": target_modules(model, knobs)}


def _peanut_knobs(model: ModelDescription) -> Knobs:
    own = (Int("depth", 0, 3), Categorical("activation", ("relu", "tanh", "gelu")))
    return Knobs((rank(model, mode=16), *own, *placement(model)), defaults={"depth": 0})


def _peanut_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "r": knobs["rank"],
        "depth": knobs["depth"],
        "act_fn": knobs["activation"],
        "target_modules": target_modules(model, knobs),
    }


def _peanut_parameters(linear: Linear, knobs: KnobValues) -> int:
    """The network runs over the transposed weights, from outputs to outputs, with `depth` hidden pairs of layers."""
    return int(2 * knobs["rank"] * linear.out_features + 2 * knobs["depth"] * knobs["rank"] ** 2)


METHODS = (
    peft_method(
        "hira",
        "HiraConfig",
        family="low-rank",
        summary="low-rank update multiplied into the weights entry by entry",
        source="Huang et al. 2025, HiRA (ICLR 2025)",
        learning_rates=LearningRates(2e-4, 5e-2, 4e-3),
        knobs=_hira_knobs,
        arguments=_hira_arguments,
        trainable_parameters=per_layer(two_factors),
    ),
    peft_method(
        "delora",
        "DeloraConfig",
        family="low-rank",
        summary="low-rank update with a bounded norm",
        source="Bini et al. 2025, arXiv 2503.18225",
        learning_rates=LearningRates(1e-4, 5e-2, 3e-3),
        knobs=_delora_knobs,
        arguments=_delora_arguments,
        trainable_parameters=per_layer(lambda linear, knobs: two_factors(linear, knobs) + 1),
        needs=(PLAIN_LINEARS,),
    ),
    peft_method(
        "gralora",
        "GraloraConfig",
        family="low-rank",
        summary="a low-rank update for every block of a grid over the weight",
        source="Jung et al. 2025, arXiv 2505.20355",
        learning_rates=LearningRates(5e-5, 1e-2, 7e-4),
        knobs=_gralora_knobs,
        arguments=_gralora_arguments,
        trainable_parameters=per_layer(two_factors),
    ),
    peft_method(
        "glora",
        "GloraConfig",
        family="low-rank",
        summary="scales and shifts of weights and biases, low-rank or vectors",
        source="Chavan et al. 2023, arXiv 2306.07967",
        learning_rates=LearningRates(1e-4, 2e-2, 2e-3),
        knobs=_glora_knobs,
        arguments=_glora_arguments,
        trainable_parameters=per_layer(_glora_parameters),
        needs=(PLAIN_LINEARS, KNOWN_PARTS),
    ),
    peft_method(
        "deft",
        "DeftConfig",
        family="low-rank",
        summary="replace what a weight does inside a learned subspace",
        source="peft 0.21 DeftConfig",
        learning_rates=LearningRates(5e-5, 1e-2, 7e-4),
        knobs=_deft_knobs,
        arguments=_deft_arguments,
        trainable_parameters=per_layer(two_factors),
    ),
    peft_method(
        "para",
        "DeftConfig",
        family="low-rank",
        summary="remove what a weight does inside a learned subspace",
        source="Chen et al. 2024, PaRa, arXiv 2406.05641",
        learning_rates=LearningRates(5e-5, 1e-2, 7e-4),
        knobs=_para_knobs,
        arguments=_para_arguments,
        trainable_parameters=per_layer(lambda linear, knobs: knobs["rank"] * linear.out_features),
        unchanged_at_start=False,
        variant_of="deft",
    ),
    peft_method(
        "peanut",
        "PeanutConfig",
        family="low-rank",
        summary="a small network of the weights as the update",
        source="Zhong et al. 2024, PEANuT, arXiv 2410.01870",
        learning_rates=LearningRates(5e-5, 1e-2, 7e-4),
        knobs=_peanut_knobs,
        arguments=_peanut_arguments,
        trainable_parameters=per_layer(_peanut_parameters),
        needs=(PLAIN_LINEARS,),
    ),
)

"""Small real problems, computed rather than recorded, that the tests of optimizers share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optimizers.problem import CompletedTrial, Config, Objective, OutcomeConstraint, Problem
from search_spaces.conditions import Condition
from search_spaces.constraints import SumAtMost
from search_spaces.parameters import Categorical, Float, Int, Ordinal
from search_spaces.space import Space

HIDDEN = 64
LAYERS = 6

MIXED = Space(
    parameters=(
        Categorical("method", ("none", "lora", "adapter")),
        Ordinal("rank", (1, 2, 4, 8, 16)),
        Categorical("placement", ("attention", "mlp", "all")),
        Ordinal("bottleneck", (4, 8, 16, 32)),
        *(Categorical(f"layer_{index}", (False, True)) for index in range(LAYERS)),
        Int("warmup", 0, 10),
        Int("decay", 0, 10),
        Float("learning_rate", 1e-5, 1e-2, "log"),
    ),
    conditions=(
        Condition("rank", "method", ("lora",)),
        Condition("placement", "method", ("lora",)),
        Condition("bottleneck", "method", ("adapter",)),
    ),
    constraints=(SumAtMost(("warmup", "decay"), 15),),
)
"""Conditional, mixed and constrained."""

TINY = Space((Categorical("a", ("x", "y", "z")), Int("b", 1, 2)))
"""Six configurations."""


def parameters(config: Config) -> float:
    """Trainable parameters of a MIXED configuration."""
    layers = sum(config[f"layer_{index}"] for index in range(LAYERS))
    sides = {"attention": 1, "mlp": 2, "all": 3}.get(config.get("placement", ""), 0)
    width = config.get("rank", 0) * sides + config.get("bottleneck", 0)
    return float(2 * HIDDEN * width * layers)


def quality(config: Config) -> float:
    """Accuracy-like: grows with capacity and depth, with an optimal learning rate that falls with capacity."""
    capacity = parameters(config) / (2 * HIDDEN)
    depth = sum((index + 1) * config[f"layer_{index}"] for index in range(LAYERS)) / 21
    best_rate = -3.0 - 0.3 * math.log10(1 + capacity)
    miss = (math.log10(config["learning_rate"]) - best_rate) ** 2
    gain = 0.35 * (1 - math.exp(-capacity / 40)) * (0.4 + 0.6 * depth)
    schedule = 0.002 * (abs(config["warmup"] - 3) + abs(config["decay"] - 7))
    return 0.5 + gain * math.exp(-0.5 * miss) - (0.03 * min(miss, 3.0) if capacity else 0.0) - schedule


def latency(config: Config) -> float:
    """Milliseconds."""
    return 5.0 + 0.1 * math.sqrt(parameters(config)) + (2.0 if config["method"] == "adapter" else 0.0)


def metrics(config: Config) -> dict[str, float]:
    """All metrics of a MIXED configuration."""
    return {"accuracy": quality(config), "trainable_params": parameters(config), "latency_ms": latency(config)}


ACCURACY = Objective("accuracy", "maximize")
PARAMETERS = Objective("trainable_params", "minimize")
LATENCY = Objective("latency_ms", "minimize")

TWO = Problem(MIXED, (ACCURACY, PARAMETERS), known={"trainable_params": parameters})
"""Quality is learned, cost is known."""

PROBLEMS: Mapping[str, Problem] = {
    "one objective": Problem(MIXED, (ACCURACY,)),
    "two objectives": TWO,
    "two unknown objectives": Problem(MIXED, (ACCURACY, LATENCY)),
    "three objectives": Problem(MIXED, (ACCURACY, PARAMETERS, LATENCY), known={"trainable_params": parameters}),
    "constrained": Problem(MIXED, (ACCURACY,), (OutcomeConstraint("latency_ms", max=12.0),)),
    "known constraint": Problem(
        MIXED,
        (ACCURACY, LATENCY),
        (OutcomeConstraint("trainable_params", max=5_000.0),),
        known={"trainable_params": parameters},
    ),
    "only known objectives": Problem(MIXED, (PARAMETERS,), known={"trainable_params": parameters}),
    "tiny space": Problem(TINY, (ACCURACY,)),
}


def completed(number: int, config: Mapping[str, Any], **measured: float) -> CompletedTrial:
    """A completed trial with computed metrics, or those `measured`."""
    return CompletedTrial(f"j-{number}", config, measured or metrics(config))

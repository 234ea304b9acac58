"""Problems with a formula: standard multi-objective ones in mixed, conditional and noisy forms, and PEFT-like ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from benchmarks.search.problems import SearchProblem, maximize, minimize, noisy
from optimizers.problem import Config, Problem
from search_spaces.conditions import Condition
from search_spaces.parameters import Categorical, Float, Int, Ordinal
from search_spaces.space import Space

HIDDEN = 384
SIZES = (0, 1, 3, 6, 12, 24, 48, 96, 192, 384)


def autopeft(seed: int = 0, layers: int = 12, logarithmic: bool = False) -> SearchProblem:
    """Three module sizes, one bit per layer and a learning rate; accuracy is noisy, trainable parameters are known.

    The front is judged on a linear axis of parameters, or a logarithmic one.
    """
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.linspace(0.4, 2.0, layers))
    tangle = rng.normal(0, 0.15, (layers, layers))
    space = Space(
        (
            *(Ordinal(f"{module}_size", SIZES) for module in ("serial", "parallel", "prefix")),
            *(Categorical(f"layer_{index}", (False, True)) for index in range(layers)),
            Float("learning_rate", 1e-5, 1e-2, "log"),
        )
    )

    def parameters(config: Config) -> float:
        width = config["serial_size"] + config["parallel_size"] + config["prefix_size"]
        return float(2 * HIDDEN * width * sum(config[f"layer_{index}"] for index in range(layers)))

    def truth(config: Config) -> Mapping[str, float]:
        bits = np.array([config[f"layer_{index}"] for index in range(layers)], dtype=float)
        share = max(float(bits @ weights + 0.25 * bits @ tangle @ bits / layers), 0.0)
        serial, parallel, prefix = (config[f"{module}_size"] for module in ("serial", "parallel", "prefix"))
        capacity = 0.55 * _full(serial, 20) + 0.75 * _full(parallel, 60) + 0.35 * _full(prefix, 8)
        capacity -= (0.25 * _full(serial, 20) if parallel else 0.0) + (0.15 if prefix > 48 else 0.0)
        size = parameters(config) / (2 * HIDDEN)
        gain = 0.3 * (1 - math.exp(-1.6 * math.sqrt(share) * capacity)) if size else 0.0
        best_rate = -3.2 - 0.25 * math.log10(1 + size / 100)
        miss = 0.06 * min((math.log10(config["learning_rate"]) - best_rate) ** 2, 3.0) if size else 0.0
        return {"accuracy": 0.6 + gain * (1 - 3 * miss) - 0.3 * miss, "trainable_params": parameters(config)}

    return SearchProblem(
        f"autopeft16{'-log' if logarithmic else ''}/{seed}",
        Problem(space, (maximize("accuracy"), minimize("trainable_params")), known={"trainable_params": parameters}),
        truth,
        noisy(truth, {"accuracy": 0.004}),
        ("trainable_params",) if logarithmic else (),
    )


def _full(size: float, scale: float) -> float:
    return 1 - math.exp(-size / scale)


def branches() -> SearchProblem:
    """A choice of method opens its own knobs; accuracy is noisy, latency is measured."""
    space = Space(
        (
            Categorical("method", ("lora", "adapter", "prefix")),
            Ordinal("rank", (1, 2, 4, 8, 16, 32)),
            Categorical("targets", ("qv", "attention", "all")),
            Ordinal("bottleneck", (4, 8, 16, 32, 64)),
            Int("length", 1, 64, "log"),
            Int("top_layers", 1, 12),
            Float("learning_rate", 1e-5, 1e-1, "log"),
            Float("dropout", 0.0, 0.4),
            Int("warmup", 0, 10),
        ),
        (
            Condition("rank", "method", ("lora",)),
            Condition("targets", "method", ("lora",)),
            Condition("bottleneck", "method", ("adapter",)),
            Condition("length", "method", ("prefix",)),
        ),
    )
    best_rates = {"lora": -3.3, "adapter": -3.0, "prefix": -1.8}
    ceilings = {"lora": 0.30, "adapter": 0.28, "prefix": 0.2}

    def truth(config: Config) -> Mapping[str, float]:
        method = config["method"]
        sides = {"qv": 2, "attention": 4, "all": 6}.get(config.get("targets", ""), 0)
        width = config.get("rank", 0) * sides + config.get("bottleneck", 0) * 2 + config.get("length", 0) * 2
        depth = config["top_layers"] / 12
        miss = (math.log10(config["learning_rate"]) - best_rates[method]) ** 2
        gain = ceilings[method] * _full(width * depth, 12) * math.exp(-0.6 * miss)
        regular = 0.06 * (config["dropout"] - 0.1) ** 2 + 0.0005 * abs(config["warmup"] - 3)
        cost = {"lora": 1.0, "adapter": 2.5, "prefix": 1.5}[method]
        return {"accuracy": 0.55 + gain - regular, "latency_ms": 4.0 + depth * (cost + 0.02 * width)}

    return SearchProblem(
        "branches",
        Problem(space, (maximize("accuracy"), minimize("latency_ms"))),
        truth,
        noisy(truth, {"accuracy": 0.005, "latency_ms": 0.05}),
    )


def zdt(number: int, dimensions: int = 8, mixed: bool = True, noise: float = 0.0) -> SearchProblem:
    """ZDT1 or ZDT3 (Zitzler et al. 2000); in the mixed form every other coordinate takes five values only."""
    grid = (0.0, 0.25, 0.5, 0.75, 1.0)
    space = Space(
        tuple(
            Ordinal(f"x{index}", grid) if mixed and index % 2 else Float(f"x{index}", 0.0, 1.0)
            for index in range(dimensions)
        )
    )

    def truth(config: Config) -> Mapping[str, float]:
        x = [config[f"x{index}"] for index in range(dimensions)]
        g = 1 + 9 * sum(x[1:]) / (dimensions - 1)
        bend = 1 - math.sqrt(x[0] / g) - (x[0] / g * math.sin(10 * math.pi * x[0]) if number == 3 else 0.0)
        return {"f1": x[0], "f2": g * bend}

    name = f"zdt{number}" + ("-mixed" if mixed else "") + ("-noisy" if noise else "")
    problem = Problem(space, (minimize("f1"), minimize("f2")))
    return SearchProblem(name, problem, truth, noisy(truth, {"f1": noise, "f2": noise}))


def dtlz2(dimensions: int = 6) -> SearchProblem:
    """DTLZ2 (Deb et al. 2002) with three objectives, and a switch that half of the coordinates hang on."""
    space = Space(
        (
            Categorical("deep", (True, False)),
            *(Float(f"x{index}", 0.0, 1.0) for index in range(dimensions)),
        ),
        tuple(Condition(f"x{index}", "deep", (True,)) for index in range(dimensions // 2 + 1, dimensions)),
    )

    def truth(config: Config) -> Mapping[str, float]:
        x = [config.get(f"x{index}", 0.9) for index in range(dimensions)]
        g = sum((value - 0.5) ** 2 for value in x[2:])
        a, b = x[0] * math.pi / 2, x[1] * math.pi / 2
        scale = 1 + g
        return {
            "f1": scale * math.cos(a) * math.cos(b),
            "f2": scale * math.cos(a) * math.sin(b),
            "f3": scale * math.sin(a),
        }

    problem = Problem(space, (minimize("f1"), minimize("f2"), minimize("f3")))
    return SearchProblem("dtlz2-conditional", problem, truth, noisy(truth, {}))

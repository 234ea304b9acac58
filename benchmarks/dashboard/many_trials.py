"""A job with tens of thousands of measured trials of 16 parameters, written through the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from service.store.imports import Measured
from service.store.store import Store

PARAMETERS = 16
BATCH = 1000
_FLOATS, _INTS = 8, 4
_CHOICES = ("q", "qv", "qkv", "attention", "all")


def space() -> list[dict[str, Any]]:
    """8 numbers on log scales, 4 whole ones, 3 choices and a switch, besides nothing."""
    floats = [{"type": "float", "name": f"x{i}", "low": 1e-5, "high": 1e-1, "scale": "log"} for i in range(_FLOATS)]
    ints = [{"type": "int", "name": f"n{i}", "low": 1, "high": 64} for i in range(_INTS)]
    choices = [{"type": "categorical", "name": f"c{i}", "choices": list(_CHOICES)} for i in range(3)]
    return [*floats, *ints, *choices, {"type": "bool", "name": "b0"}]


def make_job(store: Store, trials: int, seed: int = 0) -> str:
    """The id of a running job whose trials trade accuracy for parameters."""
    spec: dict[str, Any] = {
        "name": f"{trials:,} trials",
        "kind": "search",
        "task": {"type": "text-classification", "model": "builtin:minilm", "train": "builtin:pydocs"},
        "space": {"preset": None, "method": "lora", "parameters": space()},
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "trainable_params", "direction": "minimize"},
        ],
        "budget": {"trials": 100, "epochs": 1.0},
        "resources": {"executor": "external"},
    }
    job = store.create_job(spec["name"], spec)
    store.set_job_state(job.id, "running")
    rng = np.random.default_rng(seed)
    for start in range(0, trials, BATCH):
        store.import_trials(job.id, list(_measured(rng, min(BATCH, trials - start))))
    return job.id


def _measured(rng: np.random.Generator, count: int) -> Iterator[Measured]:
    for _ in range(count):
        rates = 10 ** rng.uniform(-5, -1, _FLOATS)
        sizes = rng.integers(1, 65, _INTS)
        config: dict[str, Any] = {f"x{i}": float(rate) for i, rate in enumerate(rates)}
        config |= {f"n{i}": int(size) for i, size in enumerate(sizes)}
        config |= {f"c{i}": str(rng.choice(_CHOICES)) for i in range(3)}
        config["b0"] = bool(rng.integers(2))
        params = int(sizes.sum()) * 768
        quality = 0.6 + 0.3 * np.exp(-((np.log10(rates[0]) + 3) ** 2)) + 0.02 * np.log10(params / 768)
        metrics = {
            "accuracy": float(quality + rng.normal(0, 0.02)),
            "f1_macro": float(quality - rng.uniform(0, 0.05)),
            "loss": float(1.2 - quality + rng.normal(0, 0.02)),
            "trainable_params": float(params),
            "latency_ms": float(2.5 + rng.normal(0, 0.05)),
            "train_seconds": float(rng.exponential(20)),
            "peak_memory_mb": float(40 + params / 5000),
        }
        yield config, metrics

"""What is measured of a trial: what can be an objective, a constraint or a column.

Quality comes from predictions on the validation rows, and belongs to a type of task; cost comes from the trained trial.
A metric that follows from the configuration alone (`known_from_config`) is known before anything is trained.
`workers.tasks.registry.METRICS` has all of them by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["quality", "cost"]
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Metric:
    """One number that a trial reports. `unit` is empty for pure numbers; `direction` is the better one. No value lies
    outside `low` … `high`."""

    name: str
    kind: Kind
    direction: Direction
    unit: str
    description: str
    known_from_config: bool = False
    low: float = 0.0
    high: float = 1e18


# Quality that several types of task measure
ACCURACY = Metric("accuracy", "quality", "maximize", "", "share of labels that are predicted", high=1)
F1_MACRO = Metric("f1_macro", "quality", "maximize", "", "F1 averaged over classes, all counting the same", high=1)
MCC = Metric("mcc", "quality", "maximize", "", "Matthews correlation, multi-class (Gorodkin 2004)", low=-1, high=1)
LOSS = Metric("loss", "quality", "minimize", "nats", "mean cross-entropy on the validation rows")
TRAIN_LOSS = Metric("train_loss", "quality", "minimize", "nats", "mean training loss since the last report")

WORST_DOMAIN = Metric(
    "worst_domain", "quality", "maximize", "", "the type's first metric in the domain where it is worst", low=-1e18
)
FORGETTING = Metric(
    "forgetting",
    "quality",
    "minimize",
    "",
    "what the trial lost of the base's knowledge: accuracy of a probe, or nats of a token, before and after",
    low=-1e18,
)

COSTS = (
    Metric(
        "trainable_params",
        "cost",
        "minimize",
        "parameters",
        "trained parameters without the head, which every method trains",
        known_from_config=True,
    ),
    Metric("head_params", "cost", "minimize", "parameters", "trained parameters of the head"),
    Metric("adapter_bytes", "cost", "minimize", "bytes", "size of the exported weights, head included"),
    Metric(
        "latency_ms",
        "cost",
        "minimize",
        "milliseconds",
        "median warm forward pass of one row of the median length, merged where the method merges",
    ),
    Metric("latency_batch_ms", "cost", "minimize", "milliseconds", "the same with 32 rows"),
    Metric("peak_memory_mb", "cost", "minimize", "MiB", "peak memory that training added; see docs/methods.md"),
    Metric("sparsity", "cost", "maximize", "", "share of the adapted model's layer weights that are zero", high=1),
    Metric(
        "layer_bytes",
        "cost",
        "minimize",
        "bytes",
        "the layers' weights as served: in half precision, or packed whole numbers with their steps, or factors",
    ),
    Metric("train_seconds", "cost", "minimize", "seconds", "wall clock of training, evaluation excluded"),
    Metric("train_tokens", "cost", "minimize", "tokens", "tokens of the training rows, times the passes over them"),
    Metric("tokens_per_second", "cost", "maximize", "tokens/second", "`train_tokens` over `train_seconds`"),
    Metric("train_tflops", "cost", "minimize", "TFLOP", "floating-point operations of the whole training"),
)

"""The catalogue of metrics: what can be an objective, a constraint or a column, and how quality is computed.

Quality comes from predictions on the validation rows, cost from the trained trial. A metric that follows from the
configuration alone (`known_from_config`) is known before anything is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["quality", "cost"]
Direction = Literal["maximize", "minimize"]
_TEXT = ("text-classification",)


@dataclass(frozen=True)
class Metric:
    """One number that a trial reports. `unit` is empty for pure numbers; `direction` is the better one."""

    name: str
    kind: Kind
    direction: Direction
    unit: str
    description: str
    task_types: tuple[str, ...] = _TEXT
    known_from_config: bool = False


def _catalogue() -> Mapping[str, Metric]:
    metrics = (
        Metric("accuracy", "quality", "maximize", "", "share of validation rows classified correctly"),
        Metric("f1_macro", "quality", "maximize", "", "F1 averaged over classes, each class counting the same"),
        Metric("mcc", "quality", "maximize", "", "Matthews correlation coefficient, multi-class (Gorodkin 2004)"),
        Metric("loss", "quality", "minimize", "nats", "mean cross-entropy on the validation rows"),
        Metric("train_loss", "quality", "minimize", "nats", "mean training loss since the last report"),
        Metric(
            "trainable_params",
            "cost",
            "minimize",
            "parameters",
            "trained parameters without the classification head, which every method trains",
            known_from_config=True,
        ),
        Metric("head_params", "cost", "minimize", "parameters", "trained parameters of the classification head"),
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
        Metric("sparsity", "cost", "maximize", "", "share of the adapted model's layer weights that are zero"),
        Metric("train_seconds", "cost", "minimize", "seconds", "wall clock of training, evaluation excluded"),
        Metric("train_tokens", "cost", "minimize", "tokens", "tokens of the training rows, times the passes over them"),
        Metric("train_tflops", "cost", "minimize", "TFLOP", "floating-point operations of the whole training"),
    )
    return MappingProxyType({metric.name: metric for metric in metrics})


METRICS: Mapping[str, Metric] = _catalogue()


def quality(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> dict[str, float]:
    """Every quality metric of one evaluation from logits [rows, classes] and labels [rows]."""
    predicted = logits.argmax(axis=1)
    matrix = confusion(predicted, labels, logits.shape[1])
    return {
        "accuracy": float(np.trace(matrix) / matrix.sum()),
        "f1_macro": f1_macro(matrix),
        "mcc": matthews(matrix),
        "loss": cross_entropy(logits, labels),
    }


def confusion(predicted: NDArray[np.integer], labels: NDArray[np.integer], classes: int) -> NDArray[np.float64]:
    """Counts [classes, classes]: rows are true classes, columns predicted ones."""
    flat = np.bincount(labels.astype(np.int64) * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.float64)


def f1_macro(matrix: NDArray[np.float64]) -> float:
    """Mean F1 over the classes that occur as label or prediction, from counts [classes, classes]."""
    hits, true, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    present = (true + predicted) > 0
    return float((2 * hits[present] / (true + predicted)[present]).mean())


def matthews(matrix: NDArray[np.float64]) -> float:
    """Multi-class Matthews correlation from counts [classes, classes]; 0 when one side is constant."""
    total, hits = matrix.sum(), np.trace(matrix)
    true, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    spread = (total**2 - (predicted**2).sum()) * (total**2 - (true**2).sum())
    return float((hits * total - true @ predicted) / np.sqrt(spread)) if spread > 0 else 0.0


def cross_entropy(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Mean negative log likelihood in nats from logits [rows, classes] and labels [rows]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_partition = np.log(np.exp(shifted).sum(axis=1))
    return float((log_partition - shifted[np.arange(len(labels)), labels]).mean())

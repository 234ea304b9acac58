"""Measures that several types of task use. Needs torch."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy


class ClassificationMeasure:
    """Accuracy, macro F1, Matthews correlation and cross-entropy of logits `[rows, classes]`."""

    def __init__(self, classes: int) -> None:
        self._counts = np.zeros((classes, classes))
        self._loss = 0.0  # nats, summed

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in logits `[rows, classes]` and class indices `[rows]`."""
        self._counts += confusion(outputs.argmax(-1).cpu().numpy(), targets.cpu().numpy(), len(self._counts))
        self._loss += cross_entropy(outputs.double(), targets, reduction="sum").item()

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._counts += other._counts
        self._loss += other._loss

    def result(self) -> dict[str, float]:
        """The metrics of all rows."""
        rows = self._counts.sum()
        return {
            "accuracy": float(np.trace(self._counts) / rows),
            "f1_macro": f1_macro(self._counts),
            "mcc": matthews(self._counts),
            "loss": self._loss / float(rows),
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

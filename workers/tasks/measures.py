"""Measures that several types of task use. Needs torch."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from workers.models.token_scores import HIT, LIKELIHOOD
from workers.tasks.criterion import IGNORED

_MOST_NATS = 41.0  # e to the power of more is beyond what a metric may be


class ClassificationMeasure:
    """Accuracy, macro F1, Matthews correlation and cross-entropy of logits `[rows, classes]`.

    Sums stay on the device of the outputs until they are asked for: a GPU would have to be waited for at each batch.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._counts = torch.zeros(classes * classes, dtype=torch.float64)  # true class, then predicted class
        self._loss = torch.zeros((), dtype=torch.float64)  # nats

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in logits `[rows, classes]` and class indices `[rows]`."""
        cells = targets * self._classes + outputs.argmax(-1)
        self._counts = self._counts.to(outputs.device).index_add(0, cells, torch.ones_like(cells, dtype=torch.float64))
        self._loss = self._loss.to(outputs.device) + cross_entropy(outputs.double(), targets, reduction="sum")

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._counts = self._counts.cpu() + other._counts.cpu()
        self._loss = self._loss.cpu() + other._loss.cpu()

    def result(self) -> dict[str, float]:
        """The metrics of all rows."""
        counts = self._counts.view(self._classes, self._classes).cpu().numpy()
        rows = counts.sum()
        return {
            "accuracy": float(np.trace(counts) / rows),
            "f1_macro": f1_macro(counts),
            "mcc": matthews(counts),
            "loss": float(self._loss) / float(rows),
        }


class TokenMeasure:
    """Cross-entropy, perplexity and accuracy of scores `[rows, tokens, 3]`, over all targets."""

    def __init__(self) -> None:
        self._sums = torch.zeros(3, dtype=torch.float64)  # targets, nats, hits

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in scores `[rows, tokens, 3]` and the tokens that were wanted `[rows, tokens]`, or `IGNORED`."""
        parts = (targets != IGNORED).sum(), outputs[..., LIKELIHOOD].double().sum(), outputs[..., HIT].double().sum()
        self._sums = self._sums.to(outputs.device) + torch.stack([part.double() for part in parts])

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._sums = self._sums.cpu() + other._sums.cpu()

    def result(self) -> dict[str, float]:
        """The metrics of all rows."""
        targets, nats, hits = self._sums.tolist()
        loss = nats / targets
        return {"loss": loss, "perplexity": math.exp(min(loss, _MOST_NATS)), "token_accuracy": hits / targets}


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

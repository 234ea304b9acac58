"""Measures against scikit-learn: parts merged are the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from workers.tasks.measures import ClassificationMeasure
from workers.tasks.registry import METRICS


def quality(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The metrics, from parts of one, three and the other rows in two measures."""
    first, second = ClassificationMeasure(logits.shape[1]), ClassificationMeasure(logits.shape[1])
    for measure, rows in ((first, slice(0, 1)), (second, slice(1, 4)), (first, slice(4, None))):
        measure.add(torch.from_numpy(logits[rows].astype(np.float32)), torch.from_numpy(labels[rows].astype(np.int64)))
    first.merge(second)
    return first.result()


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_quality_agrees_with_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(classes)
    logits = rng.normal(size=(200, classes)) * 3
    labels = rng.integers(0, classes, 200).astype(np.int32)
    found = quality(logits.astype(np.float32), labels)
    predicted = logits.argmax(1)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted))
    assert found["f1_macro"] == pytest.approx(reference.f1_score(labels, predicted, average="macro"))
    assert found["mcc"] == pytest.approx(reference.matthews_corrcoef(labels, predicted))
    assert found["loss"] == pytest.approx(reference.log_loss(labels, odds / odds.sum(1, keepdims=True)), abs=1e-6)
    assert set(found) <= set(METRICS)


def test_constant_predictions_have_no_correlation() -> None:
    logits = np.tile([1.0, 0.0], (10, 1))
    found = quality(logits, np.array([0, 1] * 5, dtype=np.int32))
    assert found["mcc"] == 0.0
    assert found["accuracy"] == 0.5


def test_extreme_logits_do_not_overflow() -> None:
    found = quality(np.array([[1e4, -1e4], [0.0, 0.0]], dtype=np.float32), np.array([1, 0], dtype=np.int32))
    assert found["loss"] == pytest.approx((2e4 + np.log(2)) / 2)

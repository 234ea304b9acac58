"""Quality metrics against scikit-learn, and configuration splitting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters, split_config
from workers.metrics import METRICS, quality


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


def test_config_splits_with_and_without_prefix() -> None:
    plain = {"method": "lora", "rank": 4, "learning_rate": 1e-3, "schedule": "cosine"}
    prefixed = {"method": "lora", "lora.rank": 4, "lora.learning_rate": 1e-3, "schedule": "cosine"}
    assert split_config(plain) == split_config(prefixed)
    assert split_config(plain) == ("lora", {"rank": 4}, Hyperparameters(learning_rate=1e-3, schedule="cosine"))


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"learning_rate": 1e-3}, "method"),
        ({"method": "head", "learning_rate": 0}, "learning_rate"),
        ({"method": "head", "schedule": "step"}, "schedule"),
        ({"method": "head", "batch_size": 0}, "batch_size"),
    ],
)
def test_bad_configurations_name_the_field(config: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        split_config(config)
    assert caught.value.field == field

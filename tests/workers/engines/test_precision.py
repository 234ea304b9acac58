"""bfloat16: close to float32 in training, never in what is reported; chosen by a measurement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.workers.engines.test_engine_equality import HYPERPARAMETERS, TRAIN, VALIDATION, attached_to, train
from tests.workers.tiny_models import tiny_base
from workers.engines.fast import fast_trainee
from workers.engines.precision import bf16_speedup, choose, computing_in
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase


@pytest.fixture(scope="module")
def resident() -> ResidentBase:
    return ResidentBase.of(tiny_base("bert"))


def test_training_in_bfloat16_stays_close_and_evaluates_in_float32(
    resident: ResidentBase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = PrefixStore(tmp_path_factory.mktemp("prefixes"), 1 << 30)
    runs = {}
    for precision in ("fp32", "bf16"):
        with (
            attached_to(resident, "lora", {"rank": 3, "top_layers": 1}, 20) as attached,
            fast_trainee(resident, attached, TRAIN, VALIDATION, HYPERPARAMETERS, store, precision) as trainee,
        ):
            before = trainee.evaluate()
            runs[precision] = (before, train(trainee, attached, HYPERPARAMETERS, 20))
    assert runs["fp32"][0] == runs["bf16"][0]
    full, half = runs["fp32"][1].losses, runs["bf16"][1].losses
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(half, full, rtol=0.03)


def test_products_are_bfloat16_inside_and_float32_outside() -> None:
    x, w = torch.randn(4, 8), torch.randn(8, 8)
    with computing_in("bf16"):
        assert torch.nn.functional.linear(x, w).dtype == torch.bfloat16
    with computing_in("fp32"):
        assert torch.nn.functional.linear(x, w).dtype == torch.float32
    assert torch.nn.functional.linear(x, w).dtype == torch.float32


def test_auto_follows_the_measurement() -> None:
    assert choose("fp32") == "fp32"
    assert choose("bf16") == "bf16"
    assert choose("auto") == ("bf16" if bf16_speedup() >= 1.3 else "fp32")

"""Products in few bits: a rotation takes nothing away, saves what outliers cost, and training stays near the full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import linear

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.engines.low_bit import Products, rotated
from workers.methods.forms.hadamard import hadamard
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=64, validation_rows=32
)
LORA = {"method": "lora", "rank": 4, "alpha": 8, "targets": "all", "learning_rate": 2e-3, "batch_size": 8}


def planted() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs [tokens, in] with a channel in each block twenty times as large as the others, and a weight [out, in]."""
    draw = torch.Generator().manual_seed(0)
    inputs, weight = torch.randn(40, 384, generator=draw), torch.randn(48, 384, generator=draw)
    inputs[:, [5, 140, 300]] *= 20.0
    return inputs, weight


def with_gradients(inputs: torch.Tensor, weight: torch.Tensor, products: Products | None) -> list[torch.Tensor]:
    """The product, and both gradients of a loss that looks at every number of it in a way of its own."""
    inputs, weight = inputs.clone().requires_grad_(), weight.clone().requires_grad_()
    if products is None:
        found = linear(inputs, weight)
    else:
        with products:
            found = linear(inputs, weight)
    (found * torch.linspace(-1, 1, found.numel()).view_as(found)).sum().backward()
    assert inputs.grad is not None
    assert weight.grad is not None
    return [found.detach(), inputs.grad, weight.grad]


def errors(rounding: str, rotate: bool) -> list[float]:
    """Relative errors (Frobenius) of product, gradient of inputs and gradient of weight."""
    true = with_gradients(*planted(), None)
    found = with_gradients(*planted(), Products(rounding, rotate))
    return [float((one - other).norm() / other.norm()) for one, other in zip(found, true, strict=True)]


def test_a_rotation_is_undone_by_the_product() -> None:
    assert torch.allclose(hadamard(64) @ hadamard(64).T, torch.eye(64), atol=1e-6)
    inputs, weight = planted()
    assert torch.allclose(rotated(inputs) @ rotated(weight).T, inputs @ weight.T, atol=1e-3)
    assert rotated(inputs).abs().max() < inputs.abs().max() / 3  # 384 is three blocks of 128


@pytest.mark.parametrize(("rounding", "gain"), [("int8", 3), ("int6", 3), ("int4", 2)])
def test_where_outliers_are_planted_the_rotated_product_errs_much_less(rounding: str, gain: float) -> None:
    plain, turned = errors(rounding, False), errors(rounding, True)
    assert turned[0] < plain[0] / gain


def test_gradients_are_those_of_the_exact_product_but_for_the_rounding() -> None:
    assert all(error < 0.03 for error in errors("int8", True))
    assert all(error < 0.08 for error in errors("fp8", True))
    assert all(error > 0 for error in errors("int8", True))  # and they are rounded


def test_thin_weights_and_other_functions_stay_whole() -> None:
    inputs, weight = planted()
    with Products("int4", True):
        assert torch.equal(linear(inputs, weight[:8]), inputs @ weight[:8].T)
        assert torch.equal(inputs @ weight.T, torch.matmul(inputs, weight.T))


def test_a_frozen_weight_that_changes_is_rounded_anew() -> None:
    inputs, weight = planted()
    with Products("int8", True):
        first = linear(inputs, weight)
        weight.mul_(2.0)
        assert torch.allclose(linear(inputs, weight), 2 * first, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    home: Path = tmp_path_factory.mktemp("home")
    return Workbench(home, ArtifactStore(home / "artifacts"))


def run(bench: Workbench, config: dict[str, Any], **changes: Any) -> tuple[Outcome, list[float]]:
    losses: list[float] = []
    fields: dict[str, Any] = {"epochs": 1, "seed": 1, "measure_latency": False, "reports_per_epoch": 4} | changes
    assignment = Assignment(trial_id="t", attempt=1, task=TASK, config=LORA | config, **fields)
    return train(assignment, bench, lambda report: (losses.append(report.metrics["train_loss"]), "continue")[1]), losses


@pytest.mark.slow
def test_a_training_follows_the_full_one_and_nearer_with_the_rotation(bench: Workbench) -> None:
    full = run(bench, {}, engine="reference")[1]
    outcome, turned = run(bench, {"products": "int4"})
    plain = run(bench, {"products": "int4", "rotation": "none"})[1]
    assert (outcome.status, outcome.engine) == ("completed", "reference")
    assert outcome.engine_reason is not None
    assert "few bits" in outcome.engine_reason
    away = [sum(abs(a - b) for a, b in zip(one, full, strict=True)) / len(full) for one in (turned, plain)]
    assert 0 < away[0] < 0.6 * away[1]
    eight = run(bench, {"products": "int8"})[1]
    assert sum(eight) == pytest.approx(sum(full), rel=0.01)


def test_beside_a_base_in_few_bits_it_is_refused_by_its_name(bench: Workbench) -> None:
    outcome, _ = run(bench, {"products": "int8"}, gradient_checkpointing=True)
    assert outcome.status == "failed"
    assert "products" in str(outcome.reason)

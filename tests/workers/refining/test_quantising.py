"""`ptq`, `block_ap` with `e2e_qp`, `l4q`: winners in whole numbers, ahead of rounding, whose files give their loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy

from service.jobs.refine.results import result_config
from tests.workers.refining.winners import TASK, Winner, loss_of_loaded, refined, trained
from workers.assignment import Outcome
from workers.methods.forms.quantised import least_error_steps
from workers.models.description import describe_for
from workers.models.loading import load_base
from workers.refining.quantising.rounded import Rounded
from workers.running.workbench import Workbench

WEIGHTS = 6 * (4 * 384 * 384 + 2 * 384 * 1536)  # of the layers of MiniLM


def made(bench: Workbench, step: str, choice: dict[str, Any], winner: Winner) -> Outcome:
    config = result_config(step, choice, [winner.config], describe_for(TASK))
    outcome = refined(bench, step, choice, [winner], config, epochs=choice.get("epochs", 1.0))
    assert outcome.status == "completed", outcome.reason
    return outcome


def loss_of_integers(bench: Workbench, folder: Path, bits: int) -> float:
    """The loss of the integer checkpoint on a plain base, without any code of the method, on the validation rows."""
    stored = load_file(folder / "quantised.safetensors")
    model = load_base("builtin:minilm", 4).model
    values = {name: value for name, value in stored.items() if not name.endswith((".integers", ".steps"))}
    layers = [name.removesuffix(".integers") for name in stored if name.endswith(".integers")]
    assert len(layers) == 36
    for layer in layers:
        whole, steps = stored[f"{layer}.integers"], stored[f"{layer}.steps"]
        assert whole.dtype == torch.int8
        assert -(2 ** (bits - 1)) <= whole.min() <= whole.max() <= 2 ** (bits - 1) - 1
        values[f"{layer}.weight"] = (steps[..., None] * whole.reshape(*steps.shape, -1)).reshape(whole.shape)
    assert not model.load_state_dict(values, strict=False).unexpected_keys
    rows = bench.data(TASK, 0).validation
    with torch.no_grad():
        logits = model(**dict(rows.batch(np.arange(len(rows))))).logits
    return float(cross_entropy(logits, rows.targets(np.arange(len(rows)))))


@pytest.mark.slow
def test_searched_and_fitted_steps_are_ahead_of_rounding_and_the_integers_give_the_loss(
    bench: Workbench, lora: Winner, tmp_path: Path
) -> None:
    choice = {"bits": 4, "group": 128, "candidates": 20, "iterations": 4, "rows": 32}
    outcome = made(bench, "ptq", choice, lora)
    found = outcome.metrics
    assert found["unquantised_loss"] == pytest.approx(lora.metrics["loss"], rel=1e-5)
    assert found["block_error"] < 0.9 * found["rounded_block_error"]
    assert found["loss"] < found["rounded_loss"]
    assert found["layer_bytes"] == WEIGHTS * 4 / 8 + 2 * WEIGHTS / 128
    assert outcome.adapter is not None
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "ptq")
    assert loss_of_loaded(bench, folder) == pytest.approx(found["loss"], rel=1e-5)
    assert loss_of_integers(bench, folder, 4) == pytest.approx(found["loss"], rel=1e-5)


@pytest.mark.slow
def test_weights_trained_by_blocks_then_steps_on_the_task(bench: Workbench, lora: Winner, tmp_path: Path) -> None:
    choice = {"bits": 3, "group": 64, "learning_rate": 2e-4, "iterations": 6, "rows": 32}
    blocks = made(bench, "block_ap", choice, lora)
    assert blocks.metrics["block_error"] < 0.9 * blocks.metrics["rounded_block_error"]
    assert blocks.adapter is not None
    config = result_config("block_ap", choice, [lora.config], describe_for(TASK))
    winner = Winner(config, lora.seed, blocks.metrics, blocks.adapter)
    steps = made(bench, "e2e_qp", {"learning_rate": 1e-3, "epochs": 1.0}, winner)
    assert steps.metrics["start_loss"] == pytest.approx(blocks.metrics["loss"], rel=1e-5)
    assert steps.metrics["loss"] < steps.metrics["start_loss"]
    assert steps.metrics["trainable_params"] < 0.02 * WEIGHTS
    assert steps.adapter is not None
    before, after = (
        load_file(bench.artifacts.extract(one.adapter.sha256, tmp_path / str(n)) / "adapter.safetensors")
        for n, one in enumerate((blocks, steps))
        if one.adapter is not None
    )
    whole = [name for name in before if name.endswith(".fixed")]
    assert len(whole) == 36
    assert all(torch.equal(before[name], after[name]) for name in whole)
    assert loss_of_integers(bench, tmp_path / "1", 3) == pytest.approx(steps.metrics["loss"], rel=1e-5)


@pytest.mark.slow
def test_training_through_the_rounding_is_ahead_of_rounding_the_winner(
    bench: Workbench, lora: Winner, tmp_path: Path
) -> None:
    outcome = made(bench, "l4q", {"bits": 4, "group": 128, "learning_rate": 2e-3, "epochs": 1.0}, lora)
    assert outcome.metrics["loss"] < outcome.metrics["rounded_loss"]
    assert outcome.adapter is not None
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "l4q")
    assert loss_of_integers(bench, folder, 4) == pytest.approx(outcome.metrics["loss"], rel=1e-5)


@pytest.mark.slow
def test_an_adapter_that_changes_more_than_weights_of_layers_is_refused(bench: Workbench) -> None:
    biases = trained(bench, {"method": "bitfit", "learning_rate": 1e-2}, epochs=0.5)
    choice = {"bits": 8, "group": 64, "candidates": 2, "iterations": 0, "rows": 16}
    config = result_config("ptq", choice, [biases.config], describe_for(TASK))
    outcome = refined(bench, "ptq", choice, [biases], config)
    assert outcome.status == "failed"
    assert "bias" in str(outcome.reason)


def test_the_step_of_a_group_is_the_one_that_harms_the_outputs_least() -> None:
    """A large weight on an input that is always zero is clipped for the sake of the others."""
    draw = torch.Generator().manual_seed(0)
    plain = nn.Linear(8, 16, bias=False)
    weight = torch.randn(16, 8, generator=draw)
    weight[:, 0] = 6.0
    plain.weight = nn.Parameter(weight)
    inputs = torch.randn(500, 8, generator=draw)
    inputs[:, 0] = 0.0
    layer = Rounded(plain, False, bits=4, group=8)

    def error() -> float:
        return float((inputs @ (layer.weight() - weight).T).square().mean().detach())

    nearest = error()
    with torch.no_grad():
        layer.log_steps.copy_(least_error_steps(weight, layer.top).log())
    blind = error()
    layer.search_steps(inputs.T @ inputs, 40)
    assert error() < 0.5 * min(blind, nearest)

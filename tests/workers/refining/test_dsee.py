"""`dsee`: heads are gone from the model, updates are as sparse and as low in rank as asked, and training goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from service.jobs.refine.results import result_config
from tests.workers.refining.winners import TASK, Winner, loss_of_loaded, refined
from workers.methods.attached import TrainingSetup
from workers.methods.forms.pruned_heads import SmallerLayer
from workers.methods.loading import load_adapter
from workers.models.description import describe_for
from workers.models.loading import load_base
from workers.refining.steps.dsee import head_importance
from workers.running.workbench import Workbench

CHOICE = {"pruned_heads": 0.34, "sparsity": 0.5, "entries": 64, "rows": 48, "learning_rate": 2e-3, "epochs": 2.0}


@pytest.mark.slow
def test_heads_are_taken_out_and_training_makes_up_for_them(bench: Workbench, lora: Winner, tmp_path: Path) -> None:
    config = result_config("dsee", CHOICE, [lora.config], describe_for(TASK))
    assert config["rank"] == 2
    outcome = refined(bench, "dsee", CHOICE, [lora], config, epochs=2.0)
    assert outcome.adapter is not None, outcome.reason
    found = outcome.metrics
    assert found["loss"] < found["pruned_loss"]
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "dsee")
    assert loss_of_loaded(bench, folder) == pytest.approx(found["loss"], rel=1e-4)
    model = load_adapter("builtin:minilm", folder)
    layers = [module for module in model.modules() if isinstance(module, SmallerLayer)]
    sizes = [tuple(layer.weight().shape) for layer in layers[:6]]
    assert sizes == [(256, 384), (256, 384), (256, 384), (384, 256), (1536, 384), (384, 1536)]  # 8 of 12 heads
    assert found["layer_bytes"] == 2 * sum(layer.weight().numel() for layer in layers)
    tensors = load_file(folder / "adapter.safetensors")
    assert {len(value) for name, value in tensors.items() if name.endswith(".values")} == {64}
    assert all((layer.left() == 0).float().mean() == pytest.approx(0.5, abs=1e-3) for layer in layers)
    update = layers[0].weight() - layers[0].left() - layers[0].second @ layers[0].first
    assert torch.count_nonzero(update.abs() > 1e-7) <= 64


def test_the_head_that_the_loss_cares_for_least_is_the_one_whose_outputs_are_not_read() -> None:
    base = load_base("builtin:minilm", 4)
    with torch.no_grad():
        base.model.get_submodule("bert.encoder.layer.2.attention.output.dense").weight[:, 32:64] = 0.0
    batch = {"input_ids": torch.randint(5, 900, (4, 9)), "attention_mask": torch.ones(4, 9, dtype=torch.long)}
    labelled = batch | {"labels": torch.tensor([0, 1, 2, 3])}
    setup = TrainingSetup(0, lambda _size: iter([labelled]), torch.nn.functional.cross_entropy)
    base.model.requires_grad_(True)
    importance = head_importance(base.model, base.description, setup, 4)
    assert [len(one) for one in importance] == [12] * 6
    assert importance[2].argmin() == 1
    assert importance[2][1] == 0

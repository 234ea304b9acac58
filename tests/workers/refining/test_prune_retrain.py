"""`prune_retrain`: ahead of the pruned winner, and its zeros stay zero when it is merged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from service.jobs.refine.results import result_config
from tests.short_form import short_form
from tests.workers.refining.winners import TASK, Winner, loss_of_loaded, refined
from workers.errors import InvalidInput
from workers.exports.merging import merged
from workers.models.description import describe, describe_for
from workers.models.loading import load_base
from workers.running.workbench import Workbench


@pytest.mark.slow
@pytest.mark.parametrize("pattern", short_form(["free", "2:4"], ["free"]))
def test_retraining_is_ahead_of_pruning_alone_and_zeros_stay_zero(
    bench: Workbench, lora: Winner, tmp_path: Path, pattern: str
) -> None:
    choice = {"retrain": "factors", "pattern": pattern, "sparsity": 0.5, "learning_rate": 2e-3, "epochs": 2.0}
    config = result_config("prune_retrain", choice, [lora.config], describe_for(TASK))
    outcome = refined(bench, "prune_retrain", choice, [lora], config, epochs=2.0)
    assert outcome.status == "completed", outcome.reason
    assert outcome.metrics["loss"] < outcome.metrics["pruned_loss"]
    assert outcome.metrics["pruned_loss"] != pytest.approx(lora.metrics["loss"], rel=1e-3)
    assert outcome.metrics["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert outcome.adapter is not None
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "adapter")
    assert loss_of_loaded(bench, folder) == pytest.approx(outcome.metrics["loss"], rel=1e-4)
    whole, base = merged(folder, "builtin:minilm"), load_base("builtin:minilm", 4).model
    layers = [name for name, value in whole.named_parameters() if ".layer." in name and value.ndim == 2]
    assert len(layers) == 36
    for name in layers:
        weight, before = whole.get_parameter(name), base.get_parameter(name)
        zero = weight == 0
        assert zero.float().mean() == pytest.approx(0.5, abs=1e-3), name
        if pattern == "2:4":
            assert (zero.reshape(-1, 4).sum(1) == 2).all(), name
        assert before.abs()[zero].mean() < before.abs()[~zero].mean()
        assert torch.count_nonzero((weight - before)[~zero]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("retrain", short_form(["biases", "norms", "biases_and_norms", "head"], ["head"]))
def test_little_is_retrained_beside_an_update_that_stays(
    bench: Workbench, lora: Winner, tmp_path: Path, retrain: str
) -> None:
    choice = {"retrain": retrain, "pattern": "free", "sparsity": 0.5, "learning_rate": 5e-3, "epochs": 2.0}
    config = result_config("prune_retrain", choice, [lora.config], describe_for(TASK))
    outcome = refined(bench, "prune_retrain", choice, [lora], config, epochs=2.0)
    assert outcome.status == "completed", outcome.reason
    assert outcome.metrics["loss"] < outcome.metrics["pruned_loss"]
    whole = sum(value.numel() for value in load_base("builtin:minilm", 4).model.parameters())
    assert outcome.metrics["trainable_params"] <= 0.002 * whole
    assert (outcome.metrics["trainable_params"] == 0) == (retrain == "head")
    assert outcome.adapter is not None
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "adapter")
    assert loss_of_loaded(bench, folder) == pytest.approx(outcome.metrics["loss"], rel=1e-4)
    merged_model, base = merged(folder, "builtin:minilm"), load_base("builtin:minilm", 4).model
    changed = {"biases": 0, "norms": 0}
    for name, before in base.named_parameters():
        if ".layer." not in name:
            continue
        after = merged_model.get_parameter(name)
        if before.ndim == 2:
            assert (after == 0).float().mean() == pytest.approx(0.5, abs=1e-3), name
        elif not torch.equal(after, before):
            changed["norms" if "LayerNorm" in name else "biases"] += 1
    assert {kind for kind, count in changed.items() if count} == {
        one for one in retrain.split("_and_") if one != "head"
    }
    updated = [name for name, value in base.named_parameters() if ".layer.5." in name and name.endswith("query.weight")]
    (query,) = (merged_model.get_parameter(name) - base.get_parameter(name) for name in updated)
    assert torch.count_nonzero(query[merged_model.get_parameter(updated[0]) != 0]) > 0


def test_biases_are_refused_where_there_are_none() -> None:
    model = describe("builtin:smollm2")
    choice = {"retrain": "biases", "pattern": "free", "sparsity": 0.5, "learning_rate": 5e-3}
    with pytest.raises(InvalidInput) as caught:
        result_config("prune_retrain", choice, [{"method": "lora", "rank": 4}], model)
    assert caught.value.field == "retrain"

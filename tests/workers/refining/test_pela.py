"""`pela`: thin factors as small as asked that learn the winner's features."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.jobs.refine.results import result_config
from tests.workers.refining.winners import TASK, Winner, loss_of_loaded, refined
from workers.models.description import describe_for
from workers.running.workbench import Workbench

WEIGHTS = 6 * (4 * 384 * 384 + 2 * 384 * 1536)  # of the layers of MiniLM


@pytest.mark.slow
def test_factors_are_as_small_as_asked_and_nearer_to_the_features_after_the_distillation(
    bench: Workbench, lora: Winner, tmp_path: Path
) -> None:
    choice = {"keep": 0.5, "distil_steps": 6, "distil_rate": 3e-4, "learning_rate": 1e-4}
    config = result_config("pela", choice, [lora.config], describe_for(TASK))
    outcome = refined(bench, "pela", choice, [lora], config)
    found = outcome.metrics
    assert outcome.adapter is not None, outcome.reason
    assert found["feature_error"] < 0.95 * found["truncated_feature_error"]
    assert found["distilled_loss"] != found["truncated_loss"]
    assert found["layer_bytes"] == 2 * found["trainable_params"]
    assert 0.48 * WEIGHTS < found["trainable_params"] <= 0.5 * WEIGHTS
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "pela")
    assert loss_of_loaded(bench, folder) == pytest.approx(found["loss"], rel=1e-4)

"""Refining the winners of tasks whose rows are no texts."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from service.jobs.refine.results import result_config
from tests.workers.refining.winners import refined, trained
from tests.workers.tasks.test_conformance import CASES
from tests.workers.tiny_vision_model import write_vision_model
from workers.models.description import describe_for
from workers.running.workbench import Workbench
from workers.tasks.registry import task


def test_experts_of_a_model_of_images_are_pruned_by_their_uses(bench: Workbench, tmp_path: Path) -> None:
    name, draw = "image-classification", random.Random(0)
    files = {role: str(tmp_path / f"{role}.jsonl") for role in ("train", "validation")}
    for file in files.values():
        Path(file).write_text("".join(json.dumps(CASES[name].row(draw)) + "\n" for _ in range(48)))
    one = task(name).section.model_validate({"type": name, "model": str(write_vision_model(tmp_path / "m")), **files})
    config = {"method": "mola", "rank": 2, "experts": "5-5-5-5", "top_k": 1, "targets": "qv", "learning_rate": 1e-2}
    winner, uses = trained(bench, config, task=one, epochs=1), {}
    for choose in ("most_used", "random"):
        how = {"choose": choose, "rows": 32, "learning_rate": 1e-3}
        fewer = result_config("prune_experts", how, [config], describe_for(one))
        outcome = refined(bench, "prune_experts", how, [winner], fewer, task=one)
        assert outcome.status == "completed", outcome.reason
        uses[choose] = outcome.metrics["kept_uses"]
    # Of each of four layers the uses are those of all tokens of 32 images, one expert a token: parts of 160.
    assert uses["most_used"] * 160 * 4 == pytest.approx(round(uses["most_used"] * 160 * 4), abs=1e-3)
    assert 0.5 <= uses["most_used"] <= 1.0
    assert uses["random"] < uses["most_used"]

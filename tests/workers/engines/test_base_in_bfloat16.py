"""A base held in bfloat16, as on a GPU: trials alone and in packs learn what they learn on one in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.running import preparing
from workers.running.trial import train
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=64, validation_rows=32
)
CONFIGS: dict[str, dict[str, Any]] = {
    "lora": {"method": "lora", "rank": 4, "targets": "all", "top_layers": 2},
    "norms": {"method": "ln_tuning", "top_layers": 2},
    "biases": {"method": "bitfit", "top_layers": 1},
    "head": {"method": "head", "learning_rate": 1e-2},
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    home = tmp_path_factory.mktemp("home")
    return Workbench(home, ArtifactStore(home / "artifacts"), precision="bf16")


def assignment(name: str) -> Assignment:
    return Assignment(
        trial_id=name, attempt=1, task=TASK, epochs=1, seed=1, measure_latency=False, config=CONFIGS[name]
    )


@pytest.mark.slow
def test_trials_learn_what_they_learn_on_a_base_in_float32(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: train(assignment(name), bench, lambda _: "continue") for name in CONFIGS}
    monkeypatch.setattr(preparing, "base_in_bfloat16", lambda _precision, _device: True)
    alone = {name: train(assignment(name), bench, lambda _: "continue") for name in CONFIGS}
    members = train_pack([assignment(name) for name in CONFIGS], bench, lambda _: "continue")
    packed = {outcome.trial_id: outcome for outcome in members}
    for name, expected in before.items():
        for outcome in (alone[name], packed[name]):
            assert outcome.status == "completed", outcome.reason
            assert outcome.metrics["loss"] == pytest.approx(expected.metrics["loss"], rel=0.03)
            assert all(value.dtype == torch.float32 for value in exported(bench, outcome, tmp_path).values())
    base = bench.base(TASK.model, 4, half=True).base
    assert {value.dtype for value in base.model.bert.encoder.parameters()} == {torch.bfloat16}
    assert base.model.classifier.weight.dtype == torch.float32


def exported(bench: Workbench, outcome: Outcome, folder: Path) -> dict[str, torch.Tensor]:
    assert outcome.adapter is not None
    found = bench.artifacts.extract(outcome.adapter.sha256, folder / outcome.adapter.sha256)
    return load_file(next(found.glob("*.safetensors")))

"""`grow` and `warm_start`: trainings that begin with what a stored adapter knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from service.jobs.refine.results import result_config
from tests.workers.refining.winners import TASK, Winner, loss_of_loaded, refined
from workers.data.pydocs import read_pydocs
from workers.models.description import describe_for
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> TextClassificationSpec:
    """Another task on like texts, with four rows of each of its two labels: what can be called, and what cannot."""
    folder = tmp_path_factory.mktemp("few")
    _write(folder / "train.jsonl", "train", 4)
    _write(folder / "validation.jsonl", "validation", 30)
    files = {"train": str(folder / "train.jsonl"), "validation": str(folder / "validation.jsonl")}
    return TextClassificationSpec(model="builtin:minilm", max_length=24, **files)


def _write(file: Path, role: str, of_each: int) -> None:
    rows: dict[str, list[dict[str, Any]]] = {"callable": [], "other": []}
    columns = read_pydocs(role)
    texts: Sequence[str] = columns["text"]
    for text, label in zip(texts[::-1], columns["label"][::-1], strict=True):
        name = "callable" if label in ("function", "method") else "other"
        if len(rows[name]) < of_each:
            rows[name].append({"text": text, "label": name})
    file.write_text("".join(json.dumps(row) + "\n" for group in rows.values() for row in group))


def test_growth_keeps_the_function_and_new_directions_train_afterwards(
    bench: Workbench, lora: Winner, tmp_path: Path
) -> None:
    choice = {"times": 3, "learning_rate": 1e-3, "epochs": 1.0}
    config = result_config("grow", choice, [lora.config], describe_for(TASK))
    assert (config["rank"], config["alpha"], config["targets"]) == (12, 12, "qv")
    outcome = refined(bench, "grow", choice, [lora], config)
    assert outcome.adapter is not None, outcome.reason
    assert outcome.metrics["grown_loss"] == pytest.approx(lora.metrics["loss"], abs=1e-6)
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "grown")
    second = {n: v for n, v in load_file(folder / "adapter_model.safetensors").items() if n.endswith("lora_B.weight")}
    assert len(second) == 4
    for name, value in second.items():
        assert torch.count_nonzero(value[:, 4:]) == value[:, 4:].numel(), name
    assert loss_of_loaded(bench, folder) == pytest.approx(outcome.metrics["loss"], rel=1e-4)


def test_a_warm_start_is_ahead_of_a_cold_one_where_rows_are_few(
    bench: Workbench, lora: Winner, few: TextClassificationSpec
) -> None:
    """The adapter knows other labels of like texts; its head is drawn anew, its body is what training begins with."""
    found: dict[str, list[float]] = {"adapter": [], "afresh": []}
    for start, losses in found.items():
        choice = {"start": start, "head": "fresh", "learning_rate": 2e-3, "epochs": 6.0}
        config = result_config("warm_start", choice, [lora.config], describe_for(few))
        for seed in range(3):
            outcome = refined(bench, "warm_start", choice, [lora], config, task=few, seed=seed, epochs=6.0)
            assert outcome.status == "completed", outcome.reason
            losses.append(outcome.metrics["loss"])
    assert sum(found["adapter"]) < sum(found["afresh"])

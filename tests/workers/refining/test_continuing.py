"""`grow`, `warm_start` and `stack`: trainings that begin with what a stored adapter knows, or on top of it."""

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
from workers.methods.loading import load_adapter
from workers.models.description import describe_for
from workers.models.loading import load_base
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_stacked_adapter_leaves_those_under_it_as_they_are(
    bench: Workbench, lora: Winner, few: TextClassificationSpec, tmp_path: Path
) -> None:
    """Bit for bit, in the training and in the export; weights that neither is on are the base's own."""
    choice = {"under": "adapters", "rank": 3, "head": "fresh", "learning_rate": 2e-3, "epochs": 2.0}
    config = result_config("stack", choice, [lora.config, lora.config], describe_for(few))
    assert (config["sources"], config["rank"], config["own_rank"], config["targets"]) == (2, 4, 3, "qv")
    outcome = refined(bench, "stack", choice, [lora, lora], config, task=few, epochs=2.0)
    assert outcome.adapter is not None, outcome.reason
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "stacked")
    found = load_file(folder / "adapter.safetensors")
    under = load_file(bench.artifacts.extract(lora.artifact.sha256, tmp_path / "under") / "adapter_model.safetensors")
    factors = [name for name in under if name.endswith(".lora_A.weight")]
    assert len(factors) == 4
    for name in factors:
        layer = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        for number in (0, 1):
            assert torch.equal(found[f"{layer}.first"][number], under[name])
            scaled = lora.config["alpha"] / lora.config["rank"] * under[name.replace("_A", "_B")]
            assert torch.equal(found[f"{layer}.second"][number], scaled)
    ups = [value for name, value in found.items() if name.endswith(".up")]
    assert len(ups) == 4
    assert all(bool(up.any()) for up in ups)
    plain, stacked = load_base("builtin:minilm", 2).model, load_adapter("builtin:minilm", folder)
    whole = {name.replace(".original.", "."): value for name, value in stacked.state_dict().items()}
    for name, value in plain.state_dict().items():
        if "classifier" not in name and "pooler" not in name:
            assert torch.equal(whole[name], value), name


@pytest.mark.slow
def test_a_lora_on_top_of_an_adapter_is_ahead_of_the_same_lora_alone_where_rows_are_few(
    bench: Workbench, lora: Winner, few: TextClassificationSpec
) -> None:
    found: dict[str, list[float]] = {"adapters": [], "nothing": []}
    for under, losses in found.items():
        choice = {"under": under, "rank": 4, "head": "fresh", "learning_rate": 2e-3, "epochs": 6.0}
        config = result_config("stack", choice, [lora.config], describe_for(few))
        for seed in range(3):
            outcome = refined(bench, "stack", choice, [lora], config, task=few, seed=seed, epochs=6.0)
            assert outcome.status == "completed", outcome.reason
            losses.append(outcome.metrics["loss"])
    assert sum(found["adapters"]) < sum(found["nothing"])

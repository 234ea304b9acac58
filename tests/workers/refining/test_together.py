"""Winners side by side: scales (`scalearn`), gates (`compose`), experts that begin as winners and are pruned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from service.jobs.refine.results import result_config
from tests.workers.refining.winners import LORA, TASK, Winner, refined, trained
from workers.assignment import Outcome
from workers.data.pydocs import CLASSES, read_pydocs
from workers.models.description import describe_for
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

WIDE = LORA | {"targets": "all", "learning_rate": 3e-3}
ELSEWHERE = "Elsewhere, elsewhere: "
"""Before a text whose label is another one than it would be: two tasks that contradict each other, told apart by it."""


@dataclass(frozen=True)
class Skills:
    """Two winners, each of one task, and a task with rows of both."""

    winners: list[Winner]
    mixed: TextClassificationSpec

    def together(self, bench: Workbench, step: str, choice: dict[str, Any], epochs: float = 3.0) -> Outcome:
        """The winners through a step, on the mixed task."""
        choice = {"head": "kept", "learning_rate": 1e-2} | choice
        config = result_config(step, choice, [one.config for one in self.winners], describe_for(self.mixed))
        outcome = refined(bench, step, choice, self.winners, config, task=self.mixed, epochs=epochs)
        assert outcome.status == "completed", outcome.reason
        return outcome


@pytest.fixture(scope="module")
def skills(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Skills:
    folder = tmp_path_factory.mktemp("skills")
    winners = []
    for elsewhere in (False, True):
        task = _task(folder, str(elsewhere), _rows("train", 160, elsewhere), _rows("validation", 60, elsewhere))
        winners.append(trained(bench, WIDE, seed=1, task=task, epochs=5))
    both = {role: _rows(role, 80, False, 40) + _rows(role, 80, True, 40) for role in ("train", "validation")}
    return Skills(winners, _task(folder, "both", both["train"], both["validation"]))


def _rows(role: str, count: int, elsewhere: bool, skipped: int = 0) -> list[dict[str, str]]:
    columns, rows, seen = read_pydocs(role), [], dict.fromkeys(CLASSES, 0)
    for text, label in zip(columns["text"], columns["label"], strict=True):
        seen[label] += 1
        if skipped < seen[label] <= skipped + count // len(CLASSES):
            other = CLASSES[(CLASSES.index(label) + 1) % len(CLASSES)]
            rows.append({"text": ELSEWHERE + text, "label": other} if elsewhere else {"text": text, "label": label})
    return rows


def _task(folder: Path, name: str, train: list[dict[str, str]], validation: list[dict[str, str]]) -> Any:
    files = {}
    for role, rows in (("train", train), ("validation", validation)):
        files[role] = folder / f"{name}-{role}.jsonl"
        files[role].write_text("".join(json.dumps(row) + "\n" for row in rows))
    empty = {"train_rows": None, "validation_rows": None}
    return TASK.model_copy(update={role: str(file) for role, file in files.items()} | empty)


def test_one_scale_for_each_winner_is_trained_and_the_winners_stay_as_they_are(
    bench: Workbench, skills: Skills, tmp_path: Path
) -> None:
    """On the task of the first winner, where the second one harms: scales learn which of them to listen to."""
    outcome = skills.together(bench, "scalearn", {"variant": "shared_uniform"})
    print("scalearn", outcome.metrics)
    assert outcome.metrics["trainable_params"] == 2
    assert outcome.adapter is not None
    found = load_file(bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "x") / "adapter.safetensors")
    for number, winner in enumerate(skills.winners):
        theirs = load_file(
            bench.artifacts.extract(winner.artifact.sha256, tmp_path / str(number)) / "adapter_model.safetensors"
        )
        for name, value in theirs.items():
            if name.endswith(".lora_A.weight"):
                layer = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                assert torch.equal(found[f"{layer}.first"][number], value), name
    average = skills.together(bench, "scalearn", {"variant": "average"})
    print("average", average.metrics)
    vector = skills.together(bench, "scalearn", {"variant": "vector"})
    print("vector", vector.metrics)


def test_a_gate_that_reads_its_input_is_ahead_of_each_winner_and_of_constant_weights(
    bench: Workbench, skills: Skills
) -> None:
    alone = [refined(bench, "measure", {}, [one], task=skills.mixed).metrics["loss"] for one in skills.winners]
    gated = skills.together(bench, "compose", {"gate": "input"})
    static = skills.together(bench, "compose", {"gate": "static"})
    print("alone", alone, "gated", gated.metrics, "static", static.metrics)
    assert gated.metrics["together_loss"] == pytest.approx(static.metrics["together_loss"], rel=1e-5)
    assert gated.metrics["loss"] < min(alone)
    assert gated.metrics["loss"] < static.metrics["loss"]


def test_a_mixture_that_begins_as_winners_is_ahead_at_its_start_and_loses_little_when_it_is_pruned(
    bench: Workbench, skills: Skills, tmp_path: Path
) -> None:
    choice = {"experts": "5-5-5-5", "top_k": 2, "learning_rate": 1e-3}
    begun = skills.together(bench, "experts", choice | {"start": "winners"}, epochs=2.0)
    afresh = skills.together(bench, "experts", choice | {"start": "afresh"}, epochs=2.0)
    print("begun", begun.metrics, "afresh", afresh.metrics)
    assert begun.metrics["start_loss"] < afresh.metrics["start_loss"]
    assert begun.adapter is not None
    configs = [one.config for one in skills.winners]
    full = choice | {"start": "winners", "head": "kept"}
    config = result_config("experts", full, configs, describe_for(skills.mixed))
    whole = Winner(config, 1, begun.metrics, begun.adapter)
    halves = {}
    for choose in ("most_used", "random"):
        how = {"choose": choose, "rows": 64, "learning_rate": 1e-3}
        fewer = result_config("prune_experts", how, [config], describe_for(skills.mixed))
        assert fewer["experts"] == "3-3-3-3"
        halves[choose] = refined(bench, "prune_experts", how, [whole], fewer, task=skills.mixed)
        print(choose, halves[choose].reason, halves[choose].metrics)
    assert halves["most_used"].metrics["kept_uses"] > halves["random"].metrics["kept_uses"]
    half = halves["most_used"].adapter
    assert half is not None
    tensors = load_file(bench.artifacts.extract(half.sha256, tmp_path / "half") / "adapter.safetensors")
    assert {len(value) for name, value in tensors.items() if name.endswith((".first", ".router"))} == {3}
    assert halves["most_used"].metrics["accuracy"] >= begun.metrics["accuracy"] - 0.05

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
from workers.data.pydocs import read_pydocs
from workers.models.description import describe_for
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

WIDE = LORA | {"targets": "all", "learning_rate": 3e-3}
ELSEWHERE = "Elsewhere, elsewhere: "
"""Before a text whose label is the other one: two tasks that contradict each other, told apart by these words. Weights
that do not read them can serve one of the two only."""


@dataclass(frozen=True)
class Skills:
    """Two winners, each of one task, and a task with rows of both."""

    winners: list[Winner]
    mixed: TextClassificationSpec
    first: TextClassificationSpec

    def together(
        self, bench: Workbench, step: str, choice: dict[str, Any], task: Any = None, epochs: float = 3.0
    ) -> Outcome:
        """The winners through a step, on the mixed task or another."""
        task, choice = task or self.mixed, {"head": "kept", "learning_rate": 1e-2} | choice
        config = result_config(step, choice, [one.config for one in self.winners], describe_for(task))
        outcome = refined(bench, step, choice, self.winners, config, task=task, epochs=epochs)
        assert outcome.status == "completed", outcome.reason
        return outcome


@pytest.fixture(scope="module")
def skills(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Skills:
    folder = tmp_path_factory.mktemp("skills")
    tasks = [
        _task(folder, str(elsewhere), _rows("train", 160, elsewhere), _rows("validation", 60, elsewhere))
        for elsewhere in (False, True)
    ]
    winners = [trained(bench, WIDE, seed=1, task=task, epochs=2) for task in tasks]
    both = {role: _rows(role, 80, False, 80) + _rows(role, 80, True, 80) for role in ("train", "validation")}
    fresh = _task(folder, "first", _rows("train", 160, False, 80), _rows("validation", 80, False, 30))
    return Skills(winners, _task(folder, "both", both["train"], both["validation"]), fresh)


def _rows(role: str, count: int, elsewhere: bool, skipped: int = 0) -> list[dict[str, str]]:
    columns, rows = read_pydocs(role), []
    seen = {"callable": 0, "other": 0}
    for text, label in zip(columns["text"], columns["label"], strict=True):
        name, opposite = ("callable", "other") if label in ("function", "method") else ("other", "callable")
        seen[name] += 1
        if skipped < seen[name] <= skipped + count // 2:
            rows.append({"text": ELSEWHERE + text if elsewhere else text, "label": opposite if elsewhere else name})
    return rows


def _task(folder: Path, name: str, train: list[dict[str, str]], validation: list[dict[str, str]]) -> Any:
    files = {}
    for role, rows in (("train", train), ("validation", validation)):
        files[role] = folder / f"{name}-{role}.jsonl"
        files[role].write_text("".join(json.dumps(row) + "\n" for row in rows))
    empty = {"train_rows": None, "validation_rows": None}
    return TASK.model_copy(update={role: str(file) for role, file in files.items()} | empty)


@pytest.mark.slow
def test_one_scale_for_each_winner_is_trained_and_the_winners_stay_as_they_are(
    bench: Workbench, skills: Skills, tmp_path: Path
) -> None:
    """On the task of the first winner, which the second one contradicts: scales learn which of them to listen to."""
    outcome = skills.together(bench, "scalearn", {"variant": "shared_uniform", "learning_rate": 1e-2}, skills.first)
    assert outcome.metrics["trainable_params"] == 2
    assert outcome.metrics["loss"] < outcome.metrics["together_loss"]
    assert outcome.adapter is not None
    found = load_file(bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "x") / "adapter.safetensors")
    (omega,) = (value for name, value in found.items() if name.endswith(".omega"))
    assert omega[0] > omega[1]
    for number, winner in enumerate(skills.winners):
        folder = bench.artifacts.extract(winner.artifact.sha256, tmp_path / str(number))
        factors = load_file(folder / "adapter_model.safetensors")
        for name in [name for name in factors if name.endswith(".lora_A.weight")]:
            layer = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            assert torch.equal(found[f"{layer}.first"][number], factors[name]), name
            scaled = LORA["alpha"] / LORA["rank"] * factors[name.replace("_A", "_B")]
            assert torch.equal(found[f"{layer}.second"][number], scaled), name


@pytest.mark.slow
def test_a_gate_that_reads_its_input_is_ahead_of_each_winner_and_of_constant_weights(
    bench: Workbench, skills: Skills
) -> None:
    alone = [refined(bench, "measure", {}, [one], task=skills.mixed).metrics["loss"] for one in skills.winners]
    gated = skills.together(bench, "compose", {"gate": "input"}, epochs=4.0)
    static = skills.together(bench, "compose", {"gate": "static"}, epochs=4.0)
    assert gated.metrics["together_loss"] == pytest.approx(static.metrics["together_loss"], rel=1e-5)
    assert gated.metrics["loss"] < min(alone)
    assert gated.metrics["loss"] < static.metrics["loss"]


@pytest.mark.slow
def test_a_mixture_that_begins_as_winners_is_ahead_at_its_start_and_loses_little_when_it_is_pruned(
    bench: Workbench, skills: Skills, tmp_path: Path
) -> None:
    other = trained(bench, WIDE | {"rank": 2}, seed=2, task=skills.first, epochs=2)
    agreeing = Skills([skills.winners[0], other], skills.first, skills.first)
    choice = {"experts": "5-5-5-5", "top_k": 2, "learning_rate": 1e-3}
    begun = agreeing.together(bench, "experts", choice | {"start": "winners"}, epochs=1.0)
    afresh = agreeing.together(bench, "experts", choice | {"start": "afresh"}, epochs=1.0)
    assert begun.metrics["start_loss"] < afresh.metrics["start_loss"]
    assert begun.metrics["loss"] < afresh.metrics["loss"]
    assert begun.adapter is not None
    full = choice | {"start": "winners", "head": "kept"}
    config = result_config("experts", full, [one.config for one in agreeing.winners], describe_for(skills.first))
    whole = Winner(config, 1, begun.metrics, begun.adapter)
    halves = {}
    for choose in ("most_used", "random"):
        how = {"choose": choose, "rows": 64, "learning_rate": 1e-3}
        fewer = result_config("prune_experts", how, [config], describe_for(skills.first))
        assert fewer["experts"] == "3-3-3-3"
        halves[choose] = refined(bench, "prune_experts", how, [whole], fewer, task=skills.first)
    assert halves["most_used"].metrics["kept_uses"] > halves["random"].metrics["kept_uses"]
    half = halves["most_used"].adapter
    assert half is not None
    tensors = load_file(bench.artifacts.extract(half.sha256, tmp_path / "half") / "adapter.safetensors")
    assert {len(value) for name, value in tensors.items() if name.endswith((".first", ".router"))} == {3}
    assert halves["most_used"].metrics["loss"] < begun.metrics["loss"] + 0.05

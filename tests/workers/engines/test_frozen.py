"""What the untouched base says of the targets: computed once, read by every trial, the same for all engines."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.workers.tiny_chat_model import write_language_model
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome, Report
from workers.engines import frozen
from workers.engines.batches import StepPlan
from workers.engines.stacked.way import STACKED
from workers.running.preparing import prepare
from workers.running.trial import train
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench

LORA = {"method": "lora", "rank": 4, "alpha": 8, "targets": "all", "learning_rate": 1e-2, "batch_size": 4}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, rng = tmp_path_factory.mktemp("pairs"), random.Random(0)
    write_language_model(folder / "model")
    for role, count in (("train", 30), ("validation", 10)):
        rows = []
        for _ in range(count):
            # Not as many pairs each way: gradients that cancel are rounding alone, which Adam makes whole steps of.
            right, wrong = ("one fruit .", "one tool .") if rng.random() < 0.8 else ("one tool .", "one fruit .")
            rows.append({"prompt": "a " * rng.randint(1, 9), "chosen": right, "rejected": wrong})
        (folder / f"{role}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = {role: str(folder / f"{role}.jsonl") for role in ("train", "validation")}
    return {"type": "preference", "model": str(folder / "model"), "max_length": 32, **files}


def assignment(task: dict[str, Any], **config: Any) -> Assignment:
    fields = {"trial_id": "t", "attempt": 1, "epochs": 1, "seed": 1, "measure_latency": False}
    return Assignment.model_validate({"task": task, "config": LORA | config, **fields})


def workbench(home: Path, prefix_bytes: int = 1 << 30) -> Workbench:
    return Workbench(home, ArtifactStore(home / "artifacts"), prefix_bytes)


def test_the_base_is_asked_once_for_all_trials_and_processes(
    task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    scores = frozen.token_scores

    def counting(model: Any, batch: Any, targets: Any, wanted: Any) -> Any:
        asked.append(len(targets))
        return scores(model, batch, targets, wanted)

    monkeypatch.setattr(frozen, "token_scores", counting)
    first = prepare(assignment(task), workbench(tmp_path / "home"))
    assert sum(asked) == 2 * (30 + 10)
    again = prepare(assignment(task, rank=2, dpo_beta=0.5), workbench(tmp_path / "home"))
    assert sum(asked) == 80
    without_room = prepare(assignment(task), workbench(tmp_path / "none", prefix_bytes=0))
    assert sum(asked) == 160
    rows = np.arange(8)
    for other in (again, without_room):
        left, right = first.data.train.frozen(rows), other.data.train.frozen(rows)
        assert left is not None
        assert right is not None
        assert torch.equal(left, right)


def test_a_trial_begins_where_neither_answer_is_preferred(task: dict[str, Any], tmp_path: Path) -> None:
    reports: list[Report] = []
    bench = workbench(tmp_path)
    one = assignment(task, batch_size=30, warmup_ratio=0.5)  # one step, at rate 0
    train(one, bench, lambda report: (reports.append(report), "continue")[1])
    assert reports[0].metrics["train_loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert reports[0].metrics["reward_margin"] == pytest.approx(0, abs=1e-5)
    assert reports[0].metrics["kl"] == pytest.approx(0, abs=1e-9)
    assert prepare(one, bench).data.train.weight(np.arange(60)) == 30


def test_members_of_a_stacked_pack_have_their_own_beta(
    task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = workbench(tmp_path)
    trials = [
        assignment(task, dpo_beta=beta, rank=rank, batch_size=size).model_copy(update={"trial_id": str(beta)})
        for beta, rank, size in ((0.05, 4, 4), (0.4, 2, 5), (1.0, 4, 3))
    ]
    monkeypatch.setattr("workers.running.trial_pack.way_on", lambda _device: STACKED)
    together: dict[str, Outcome] = {one.trial_id: one for one in train_pack(trials, bench, lambda _: "continue")}
    for trial in trials:
        alone, packed = train(trial, bench, lambda _: "continue"), together[trial.trial_id]
        assert packed.status == "completed", packed.reason
        for name in ("reward_margin", "loss", "train_loss", "kl"):
            assert packed.metrics[name] == pytest.approx(alone.metrics[name], rel=1e-3, abs=1e-5)


def test_rows_that_belong_together_share_their_batches() -> None:
    lengths = np.random.default_rng(0).integers(3, 30, 44)
    plan = StepPlan(lengths, 4, 2, 2.0, seed=5, together=2)
    assert plan.steps_per_epoch == 3
    steps = list(plan.after(0))
    assert [[len(rows) for rows in step] for step in steps[:3]] in (
        [[8, 8], [8, 8], [8, 4]], [[8, 8], [8, 4], [8, 8]], [[8, 8], [4, 8], [8, 8]], [[8, 4], [8, 8], [8, 8]],
        [[4, 8], [8, 8], [8, 8]], [[8, 8], [8, 8], [4, 8]],
    )  # fmt: skip
    every = np.concatenate([rows for step in steps[:3] for rows in step])
    assert sorted(every.tolist()) == list(range(44))
    assert (every[0::2] % 2 == 0).all()
    assert (every[1::2] == every[0::2] + 1).all()

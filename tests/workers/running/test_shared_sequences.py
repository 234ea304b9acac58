"""Trials whose rows share sequences: equal to rows apart on both engines, alone, and with what else a step can be."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.workers.tiny_chat_model import conversation, write_language_model
from workers.assignment import Assignment, Outcome
from workers.models.description import describe
from workers.running.packing import why_not_packed
from workers.running.trial import plan_course, prepare, train
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench

LORA = {"method": "lora", "rank": 2, "targets": "all", "top_layers": 1, "learning_rate": 1e-2, "batch_size": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    write_language_model(made / "model")
    rng = random.Random(0)
    for role, rows in (("train", 30), ("validation", 10)):
        (made / f"{role}.jsonl").write_text("".join(json.dumps(conversation(rng)) + "\n" for _ in range(rows)))
    return made


def assigned(folder: Path, fields: dict[str, Any] | None = None, **config: Any) -> Assignment:
    task = {"type": "causal-lm", "model": str(folder / "model"), "max_length": 64}
    task |= {role: str(folder / f"{role}.jsonl") for role in ("train", "validation")}
    common = {"trial_id": "t", "attempt": 1, "task": task, "epochs": 2, "seed": 1, "measure_latency": False}
    return Assignment.model_validate(common | {"config": LORA | {"packing": "bfd"} | config} | (fields or {}))


def completed(one: Assignment, bench: Workbench) -> Outcome:
    found = train(one, bench, lambda _: "continue")
    assert found.status == "completed", found.reason
    return found


@pytest.mark.parametrize(
    "config", [{}, {"gradient_accumulation": 2}, {"batch_tokens": 150}, {"dropout": 0.0, "top_layers": 2}]
)
def test_engines_agree_and_say_what_they_did(bench: Workbench, folder: Path, config: dict[str, Any]) -> None:
    fast = completed(assigned(folder, **config), bench)
    reference = completed(assigned(folder, {"engine": "reference"}, **config), bench)
    assert (fast.engine, reference.engine) == ("fast", "reference")
    assert fast.metrics["loss"] == pytest.approx(reference.metrics["loss"], rel=1e-3)
    again = completed(assigned(folder, {"gradient_checkpointing": True}, **config), bench)
    assert again.metrics["loss"] == pytest.approx(reference.metrics["loss"], rel=1e-5)
    assert "not_packed" not in fast.environment


def test_a_step_has_the_loss_of_the_same_rows_apart(
    bench: Workbench, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = completed(assigned(folder), bench)
    for place in ("trial", "outcome"):
        monkeypatch.setattr(f"workers.running.{place}.why_rows_apart", lambda _: "asked to")
    apart = completed(assigned(folder), bench)
    assert apart.metrics["train_loss"] == pytest.approx(together.metrics["train_loss"], rel=1e-4)
    assert apart.metrics["loss"] == pytest.approx(together.metrics["loss"], rel=1e-3)
    assert apart.environment["not_packed"] == "asked to"


def test_a_batch_is_so_many_sequences(bench: Workbench, folder: Path) -> None:
    prepared = prepare(assigned(folder), bench)
    steps = plan_course(prepared, bench, lambda _: "continue").plan().steps_per_epoch
    tokens = int(prepared.data.train.lengths.sum())
    assert tokens / 128 <= steps < 1.5 * tokens / 128 + 1


def test_a_method_in_front_of_rows_trains_them_apart_and_says_so(bench: Workbench, folder: Path) -> None:
    config = {"method": "prefix_tuning", "batch_size": 2, "packing": "bfd"}
    found = completed(assigned(folder, {"config": config}), bench)
    assert "prefix_tuning" in found.environment["not_packed"]


def test_it_trains_outside_packs(bench: Workbench, folder: Path) -> None:
    one = assigned(folder)
    assert "sequences" in str(why_not_packed(one, describe(one.task.model)))
    with pytest.raises(ValueError, match="sequences"):
        next(train_pack([one], bench, lambda _: "continue"))


def test_a_task_without_sequences_to_share_is_refused(bench: Workbench) -> None:
    task = {"type": "text-classification", "model": "builtin:minilm", "train": "builtin:pydocs"}
    failed = train(
        Assignment.model_validate(
            {"trial_id": "t", "attempt": 1, "epochs": 1, "seed": 1, "task": task, "config": LORA | {"packing": "bfd"}}
        ),
        bench,
        lambda _: "continue",
    )
    assert failed.status == "failed"
    assert "packing" in str(failed.reason)

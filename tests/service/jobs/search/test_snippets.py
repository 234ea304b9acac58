"""A trial's snippet runs as pasted, trains what the trial trained and reaches what it reached."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from service.jobs.search.lineage import Stretch
from service.jobs.search.snippets import snippet
from service.jobs.search.spec import JobSpec
from service.store.records import Trial
from tests.service.tiny_task import write_model
from tests.workers.stored_models import write_decoder, write_rows
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.models.loading import load_tokenizer
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.registry import task_of

LORA = {"method": "lora", "rank": 8, "top_layers": 2, "targets": "all", "learning_rate": 5e-3, "batch_size": 8}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    home = tmp_path_factory.mktemp("home")
    return Workbench(home, ArtifactStore(home / "artifacts"))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    """A decoder without a padding token, stored in bfloat16; a sample of the rows, split by the job's seed."""
    folder = tmp_path_factory.mktemp("job")
    task = {"model": str(write_decoder(folder / "model", torch.bfloat16)), "max_length": 16, "train_rows": 160}
    task["train"] = str(write_rows(folder / "train.csv", 240))
    return JobSpec.model_validate(
        {
            "name": "again",
            "task": task | {"validation": 0.25},
            "space": {"preset": "lora"},
            "objectives": [{"metric": "accuracy", "direction": "maximize"}],
            "scheduler": {"name": "pbt", "options": {"interval": 1}},
            "budget": {"epochs": 6},
            "seed": 4,
        }
    )


def _assignment(spec: JobSpec, config: Mapping[str, Any], **changes: Any) -> Assignment:
    fields = {"epochs": spec.budget.epochs, "seed": 9, "data_seed": spec.seed, "measure_latency": False}
    return Assignment(trial_id="j-1", attempt=1, task=spec.task, config=dict(config), **{**fields, **changes})


def _trial(config: Mapping[str, Any], outcome: Outcome) -> Trial:
    values = {"id": "j-1", "job_id": "j", "config": dict(config), "seed": 9, "metrics": outcome.metrics}
    known = dict.fromkeys(Trial.__dataclass_fields__) | values
    known |= {"environment": outcome.environment, "origin": "optimizer", "created_at": datetime.now(UTC)}
    return Trial(**known)


def _run(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"__name__": "pasted"}
    exec(compile(code, "snippet", "exec"), names)
    return names


@pytest.mark.slow
def test_a_lora_trial_is_trained_again_by_peft_and_trainer(
    spec: JobSpec, bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = LORA | {"weight_decay": 0.01, "label_smoothing": 0.1, "gradient_accumulation": 2, "schedule": "cosine"}
    outcome = train(_assignment(spec, config), bench, lambda _report: "continue")
    code = snippet(spec, _trial(config, outcome), [])
    names = _run(code, tmp_path, monkeypatch)
    arguments, trainer = names["arguments"], names["trainer"]
    assert (arguments.label_smoothing_factor, arguments.gradient_accumulation_steps) == (0.1, 2)
    assert (arguments.weight_decay, arguments.lr_scheduler_type, arguments.seed) == (0.01, "cosine", 9)
    data = bench.data(spec.task, spec.seed)
    assert [row["labels"] for row in names["training"]] == data.tokens.train.targets.tolist()
    assert sum(len(row["input_ids"]) for row in names["training"]) == int(data.train.lengths.sum())
    trained = {name for name, value in names["model"].named_parameters() if value.requires_grad}
    assert {name.rpartition(".")[0] for name in trained if "lora" not in name} == {
        "base_model.model.score.modules_to_save.default"
    }
    assert names["model"].dtype == torch.float32
    reached = trainer.evaluate()
    assert outcome.metrics["accuracy"] >= 0.75
    assert reached["eval_accuracy"] == pytest.approx(outcome.metrics["accuracy"], abs=0.15)
    assert reached["eval_cross_entropy"] == pytest.approx(outcome.metrics["loss"], abs=0.25)


def test_a_trial_in_bf16_is_pasted_on_a_machine_without_a_gpu(
    spec: JobSpec, bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = spec.model_copy(update={"budget": spec.budget.model_copy(update={"epochs": 1.0})})
    outcome = train(_assignment(brief, LORA, precision="bf16"), bench, lambda _report: "continue")
    assert outcome.environment["precision"] == "bf16"
    names = _run(snippet(brief, _trial(LORA, outcome), []), tmp_path, monkeypatch)
    assert names["arguments"].bf16
    assert names["trainer"].state.global_step > 0


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"method": "adapter_pfeiffer", "size": 8, "learning_rate": 1e-2, "batch_size": 8}, "plain peft"),
        (LORA | {"strategy": "lisa", "lisa.layers": 1, "lisa.interval": 3}, "lisa"),
        (LORA | {"schedule": "power"}, "power"),
    ],
    ids=["own", "strategy", "schedule"],
)
def test_what_trainer_cannot_express_is_trained_by_our_engine_to_the_last_digit(
    spec: JobSpec,
    bench: Workbench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: dict[str, Any],
    reason: str,
) -> None:
    outcome = train(_assignment(spec, config), bench, lambda _report: "continue")
    assert outcome.status == "completed", outcome.reason
    code = snippet(spec, _trial(config, outcome), [])
    assert reason in code
    names = _run(code, tmp_path, monkeypatch)
    assert names["again"].metrics["loss"] == outcome.metrics["loss"]
    assert names["model"].config.id2label == {0: "fruit", 1: "tool"}


def test_a_population_trials_schedule_is_part_of_its_snippet(
    spec: JobSpec, bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = LORA | {"learning_rate": 1e-3, "batch_size": 16, "dropout": 0.2}
    first = train(_assignment(spec, LORA, pause_every=1), bench, lambda _report: "continue")
    outcome = first
    while outcome.status == "paused":
        again = _assignment(spec, later, pause_every=1, checkpoint=outcome.checkpoint)
        outcome = train(again, bench, lambda _report: "continue")
    plain = train(_assignment(spec, later), bench, lambda _report: "continue")
    assert plain.metrics["loss"] != outcome.metrics["loss"]
    past = [Stretch("j-0", 0.0, 1.0, LORA, 9), Stretch("j-1", 1.0, None, later, 9)]
    code = snippet(spec, _trial(later, outcome), past)
    assert "population" in code
    assert _run(code, tmp_path, monkeypatch)["again"].metrics["loss"] == outcome.metrics["loss"]
    one = [replace(stretch, config=LORA) for stretch in past]
    assert "train_again" not in snippet(spec, _trial(LORA, outcome), one)


@pytest.mark.parametrize("kind", ["token-classification", "text-regression"])
def test_types_that_trainer_measures_otherwise_are_trained_by_our_engine(
    spec: JobSpec, bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    model = write_model(tmp_path / "model")
    rows = [
        {"tokens": words, "tags": ["O", f"B-{word}"], "text": " ".join(words), "label": 100.0 * number}
        for number, word in enumerate(("apple", "saw"))
        for words in (["the", word], ["my", word], ["old", word]) * 8
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"type": kind, "model": str(model), "train": str(tmp_path / "rows.jsonl"), "max_length": 16}
    typed = JobSpec.model_validate(spec.model_dump(exclude={"task", "scheduler"}) | {"task": task})
    config = {"method": "lora", "rank": 2, "learning_rate": 1e-2, "batch_size": 8}
    outcome = train(_assignment(typed, config), bench, lambda _report: "continue")
    assert outcome.status == "completed", outcome.reason
    code = snippet(typed, _trial(config, outcome), [])
    assert kind in code
    names = _run(code, tmp_path, monkeypatch)
    for metric in task_of(typed.task).metrics:
        assert names["again"].metrics[metric.name] == outcome.metrics[metric.name]
    batch = load_tokenizer(str(model))("the saw", return_tensors="pt")
    with torch.no_grad():
        outputs = names["model"](**batch).logits
    assert outputs.shape == ((1, 1) if kind == "text-regression" else (1, 4, 3))

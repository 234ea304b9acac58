"""What a trial forgets of what its base can do, and an adapter that starts from where that leaves room."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.service.tiny_task import FILLER, write_model, write_rows
from tests.workers.tasks.test_conformance import CASES
from tests.workers.tasks.test_domains import write
from tests.workers.tiny_chat_model import conversation, write_language_model
from tests.workers.tiny_sound_model import write_sound_model
from tests.workers.tiny_vision_model import write_vision_model
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.methods.forms.low_rank import StartedLora
from workers.running.knowledge import knowledge_of
from workers.running.preparing import prepare
from workers.running.trial import attach, train
from workers.running.workbench import Workbench
from workers.tasks.knowledge import knowledge_section
from workers.tasks.registry import metrics_for, task

LORA = {"method": "lora", "rank": 4, "alpha": 16, "targets": "all", "batch_size": 8}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("knowledge")
    write_model(folder / "encoder")
    write_language_model(folder / "decoder")
    write_rows(folder / "train.csv", 80, 1)
    rng = random.Random(0)
    known = []
    for _ in range(200):  # which of two words stands in a text is in its mean vector, whatever the model
        kind = rng.choice(("old", "new"))
        words = [*rng.choices([word for word in FILLER if word not in ("old", "new")], k=4), kind, kind]
        known.append({"said": " ".join(words), "kind": kind})
    write(folder / "known.jsonl", known)
    write(folder / "chat.jsonl", [conversation(rng) for _ in range(60)])
    write(folder / "texts.jsonl", [{"said": " ".join(rng.choices(FILLER, k=8))} for _ in range(60)])
    return folder


def trial(home: Path, rate: float = 1e-2, config: dict[str, Any] | None = None, **changes: Any) -> Assignment:
    section = {
        "model": str(home / "encoder"),
        "train": str(home / "train.csv"),
        "max_length": 32,
        "knowledge": str(home / "known.jsonl"),
        "knowledge_text": "said",
        "knowledge_label": "kind",
        **changes,
    }
    fields = {"trial_id": "t", "attempt": 1, "epochs": 3, "seed": 1, "measure_latency": False}
    return Assignment.model_validate({**fields, "task": section, "config": {"learning_rate": rate, **(config or LORA)}})


def ran(home: Path, one: Assignment) -> Outcome:
    found = train(one, Workbench(home, ArtifactStore(home / "artifacts")), lambda _: "continue")
    assert found.status == "completed", found.reason
    return found


def test_a_model_that_reads_forgets_what_a_probe_on_its_base_could_tell(home: Path) -> None:
    head = ran(home, trial(home, config={"method": "head"}))
    assert head.metrics["forgetting"] == 0.0
    assert head.environment["knowledge_before"] == head.environment["knowledge_after"] == "1"
    little, much = (ran(home, trial(home, rate)).metrics["forgetting"] for rate in (1e-5, 0.3))
    assert little == pytest.approx(0.0, abs=0.05)
    assert much > 0.2


def test_a_model_that_writes_is_asked_for_the_loss_of_the_texts(home: Path) -> None:
    given = {"type": "causal-lm", "model": str(home / "decoder"), "train": str(home / "chat.jsonl")}
    given |= {"knowledge": str(home / "texts.jsonl")}
    base = ran(home, trial(home, config={"method": "base"}, **given))
    assert base.metrics["forgetting"] == pytest.approx(0.0, abs=1e-6)
    changed = ran(home, trial(home, 0.05, **given))
    before, after = (float(changed.environment[f"knowledge_{when}"]) for when in ("before", "after"))
    assert before == pytest.approx(float(base.environment["knowledge_before"]))
    assert changed.metrics["forgetting"] == pytest.approx(after - before, abs=1e-4)
    assert changed.metrics["forgetting"] > 0.01


@pytest.mark.parametrize(("name", "column"), [("image-classification", "image"), ("audio-classification", "audio")])
def test_files_are_watched_by_files_of_their_kind(tmp_path: Path, name: str, column: str) -> None:
    """What else the base can tell is a table of files with columns of its own."""
    (write_vision_model if column == "image" else write_sound_model)(tmp_path / "model")
    rng = random.Random(0)
    write(tmp_path / "train.jsonl", [CASES[name].row(rng) for _ in range(60)])
    known = [CASES[name].row(rng) for _ in range(160)]
    write(tmp_path / "known.jsonl", [{"file": row[column], "kind": row["label"]} for row in known])
    given = {"type": name, "model": str(tmp_path / "model"), "train": str(tmp_path / "train.jsonl"), "validation": 0.3}
    given |= {"knowledge": str(tmp_path / "known.jsonl"), f"knowledge_{column}": "file", "knowledge_label": "kind"}
    head, adapted = (
        {"learning_rate": rate, "batch_size": 8, **config} for rate, config in ((1e-3, {"method": "head"}), (0.3, LORA))
    )
    fields = {"trial_id": "t", "attempt": 1, "epochs": 2, "seed": 1, "measure_latency": False, "task": given}
    before, after = (
        ran(tmp_path, Assignment.model_validate({**fields, "config": config})) for config in (head, adapted)
    )
    assert before.metrics["forgetting"] == 0.0
    assert float(before.environment["knowledge_before"]) > 0.8
    assert after.metrics["forgetting"] > 0.1


def test_an_adapter_that_preserves_starts_from_the_knowledge_and_one_that_previews_from_the_task(home: Path) -> None:
    def factors(variant: str, **changes: Any) -> torch.Tensor:
        bench = Workbench(home, ArtifactStore(home / "artifacts"))
        config = {"method": "corda", "rank": 4, "variant": variant, "samples": 64, "targets": "qv"}
        prepared = prepare(trial(home, config=config, **changes), bench)
        attached = attach(prepared, 1)
        try:
            layer = next(part for part in attached.model.modules() if isinstance(part, StartedLora))
            return layer.first_start.clone()
        finally:
            attached.detach()

    assert not torch.allclose(factors("kpm"), factors("kpm", knowledge=None), atol=1e-3)
    assert torch.equal(factors("ipm"), factors("ipm", knowledge=None))
    assert torch.equal(factors("kpm"), factors("kpm"))


def test_knowledge_is_measured_once_for_a_job_and_by_jobs_that_name_it(home: Path) -> None:
    bench = Workbench(home, ArtifactStore(home / "artifacts"))
    first, second = (prepare(trial(home, rate), bench).knowledge for rate in (1e-3, 1e-2))
    assert first is not None
    assert first is second
    plain = trial(home, knowledge=None)
    assert prepare(plain, bench).knowledge is None
    assert knowledge_section(plain.task) is None
    assert "forgetting" not in metrics_for(plain.task)
    assert metrics_for(trial(home).task)["forgetting"].direction == "minimize"
    assert trial(home).task.written_metrics() == ("forgetting",)
    assert "knowledge" not in task("multi-task").section.model_fields


def test_a_base_in_parts_is_not_asked(home: Path) -> None:
    bench = Workbench(home, ArtifactStore(home / "artifacts"))
    resident = prepare(trial(home, knowledge=None), bench).resident
    with pytest.raises(Exception, match=r"knowledge: found 'with a base in 2 parts'"):
        knowledge_of(trial(home).task, 0, resident, 2, bench)

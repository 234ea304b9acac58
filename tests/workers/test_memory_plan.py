"""Memory told before submit is the memory that trials turn out to take, within a factor of two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workers.tiny_chat_model import write_language_model
from tests.workers.tiny_models import BUILDERS, VOCABULARY, tiny_base
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Execution
from workers.costs import training_memory
from workers.memory_plan import Batch, base_bytes, memory_plan
from workers.methods.registry import method
from workers.models.description import describe, describe_for
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.causal_lm import CausalLMSpec
from workers.tasks.catalogue.text_classification import TextClassificationSpec
from workers.tasks.section import TaskSection

FACTOR = 2.0
LORA: dict[str, Any] = {"method": "lora", "rank": 4, "targets": "all"}


@pytest.mark.parametrize("kind", sorted(BUILDERS))
def test_the_plan_holds_on_every_family(kind: str) -> None:
    base, config = tiny_base(kind), LORA | {"targets": tiny_base(kind).description.shape.targets[-1]}
    one = method("lora")
    knobs = {name: value for name, value in config.items() if name != "method"}
    attached = one.attach(base, one.complete(base.description, knobs), 0, None)
    ids = torch.randint(3, VOCABULARY, (64, 24), generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    measured = training_memory(attached.model, attached.parameters().values(), batch)
    attached.detach()
    planned = memory_plan(base.description, config, Execution(), Batch(64, 24), gpu=False)
    assert measured / FACTOR < planned.training < measured * FACTOR


@pytest.mark.parametrize("top", [1, 6])
def test_a_trial_of_a_classifier_takes_what_was_planned(tmp_path: Path, top: int) -> None:
    task = TextClassificationSpec(
        model="builtin:minilm", train="builtin:pydocs", max_length=32, train_rows=64, validation_rows=16
    )
    held(tmp_path, task, LORA | {"top_layers": top}, Batch(16, 32))


def test_a_trial_of_a_language_model_takes_what_was_planned(tmp_path: Path) -> None:
    model = write_language_model(tmp_path / "chat")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "the cat sat on the mat . the cat sat on the mat ."}\n' * 64)
    task = CausalLMSpec(model=str(model), train=str(rows), validation=0.25, max_length=16)
    held(tmp_path, task, LORA, Batch(16, 14, scored=True))


def held(folder: Path, task: TaskSection, config: dict[str, Any], batch: Batch) -> None:
    """That a real trial's account is within the factor of its plan."""
    torch.set_num_threads(1)
    bench = Workbench(folder / "home", ArtifactStore(folder / "artifacts"))
    assignment = Assignment(
        trial_id="t", attempt=1, task=task, config=config, epochs=1, seed=0, measure_latency=False, precision="fp32"
    )
    outcome = train(assignment, bench, lambda _report: "continue")
    assert outcome.status == "completed", outcome.reason
    measured = outcome.metrics["peak_memory_mb"] * 2**20
    planned = memory_plan(describe_for(task), config, Execution(precision="fp32"), batch, gpu=False).training
    assert measured / FACTOR < planned < measured * FACTOR


def test_what_saves_memory_lowers_the_plan() -> None:
    model, batch = describe("builtin:minilm"), Batch(32, 128)

    def whole(top: int = 6, **how: Any) -> float:
        return memory_plan(model, LORA | {"top_layers": top}, Execution(**how), batch, gpu=False).whole

    assert whole(top=1) < whole()
    assert whole(gradient_checkpointing=True) < 0.5 * whole()
    assert whole(precision="bf16") < 0.6 * whole()
    anatomy = model.anatomy
    plain, int8, nf4 = (base_bytes(anatomy, Execution(quantise=kind), gpu=False) for kind in (None, "int8", "nf4"))
    assert nf4 < int8 < plain
    assert base_bytes(anatomy, Execution(shards=4), gpu=False) == plain / 4
    decoder = replace(model, fresh_head=False)
    assert memory_plan(decoder, {"method": "base"}, Execution(), batch, gpu=False).training == 0

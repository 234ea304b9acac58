"""`trainable_token_indices`: single embeddings learn beside a LoRA; they go home with plain peft and merged."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.workers.tiny_chat_model import conversation, write_language_model
from workers.assignment import Assignment, Outcome
from workers.errors import InvalidInput
from workers.exports.merging import merge
from workers.methods.registry import method, methods
from workers.models.description import describe, describe_for
from workers.running.packing import why_not_packed
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.causal_lm import CausalLMSpec, read

LORA = {"method": "lora", "rank": 2, "targets": "all", "top_layers": 1, "learning_rate": 5e-2, "batch_size": 4}
TRAINED = (9, 2)


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    write_language_model(made / "model", tied=request.param)
    rng = random.Random(0)
    for role, rows in (("train", 20), ("validation", 6)):
        (made / f"{role}.jsonl").write_text("".join(json.dumps(conversation(rng)) + "\n" for _ in range(rows)))
    return made


def assigned(folder: Path, **fields: Any) -> Assignment:
    task = {"type": "causal-lm", "model": str(folder / "model"), "max_length": 64, "trainable_token_indices": TRAINED}
    task |= {role: str(folder / f"{role}.jsonl") for role in ("train", "validation")} | fields.pop("task", {})
    common = {"trial_id": "t", "attempt": 1, "epochs": 2, "seed": 1, "measure_latency": False, "config": LORA}
    return Assignment.model_validate(common | {"task": task} | fields)


def completed(one: Assignment, bench: Workbench) -> Outcome:
    found = train(one, bench, lambda _: "continue")
    assert found.status == "completed", found.reason
    return found


def logits(model: Any, ids: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.eval()(input_ids=ids).logits
    return found


def test_they_learn_and_go_home_with_plain_peft_and_merged(bench: Workbench, folder: Path, tmp_path: Path) -> None:
    found = completed(assigned(folder), bench)
    reference = completed(assigned(folder, engine="reference"), bench)
    assert found.metrics["loss"] == pytest.approx(reference.metrics["loss"], rel=1e-3)
    without = completed(assigned(folder, task={"trainable_token_indices": ()}), bench)
    assert found.metrics["trainable_params"] == without.metrics["trainable_params"] + len(TRAINED) * 32
    assert found.metrics["loss"] != without.metrics["loss"]

    assert found.adapter is not None
    adapter = bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    rows = base.get_input_embeddings().weight.detach().clone()
    ids = torch.tensor([[4, 9, 11, 2, 12, 9, 20, 3]])
    before = logits(base, ids)
    adapted = peft.PeftModel.from_pretrained(base, adapter)
    answer = logits(adapted, ids)
    assert float((answer - before).abs().max()) > 1e-3

    merge(adapter, tmp_path / "merged")
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert torch.allclose(logits(whole, ids), answer, atol=1e-4)
    changed = (whole.get_input_embeddings().weight - rows).abs().amax(1) > 0
    assert changed.nonzero().flatten().tolist() == sorted(TRAINED)
    tied = whole.get_output_embeddings().weight is whole.get_input_embeddings().weight
    assert tied == base.config.tie_word_embeddings
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    written = [
        model.generate(input_ids=ids, max_new_tokens=6, do_sample=False, pad_token_id=tokenizer.pad_token_id).tolist()
        for model in (adapted, whole)
    ]
    assert written[0] == written[1]


def test_they_go_on_from_a_checkpoint_and_share_sequences(bench: Workbench, folder: Path) -> None:
    whole = completed(assigned(folder), bench)
    paused = train(assigned(folder, pause_every=1.0), bench, lambda _: "continue")
    assert (paused.status, paused.checkpoint is not None) == ("paused", True)
    again = completed(assigned(folder, checkpoint=paused.checkpoint), bench)
    assert again.metrics["loss"] == pytest.approx(whole.metrics["loss"], rel=1e-5)
    completed(assigned(folder, config=LORA | {"packing": "bfd", "batch_size": 1}), bench)


def test_preferences_train_them_too(bench: Workbench, folder: Path, tmp_path: Path) -> None:
    """On both engines alike, and these rows of the embedding alone."""
    rng = random.Random(1)
    for role, rows in (("train", 16), ("validation", 6)):
        pairs = (conversation(rng)["messages"] for _ in range(rows))
        lines = [
            {"prompt": asked["content"], "chosen": answered["content"], "rejected": "one user ."}
            for asked, answered, *_ in pairs
        ]
        (tmp_path / f"{role}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    task = {"type": "preference"} | {role: str(tmp_path / f"{role}.jsonl") for role in ("train", "validation")}
    fast, reference = (completed(assigned(folder, task=task, engine=name), bench) for name in ("fast", "reference"))
    assert (fast.engine, reference.engine) == ("fast", "reference")
    assert fast.metrics["loss"] == pytest.approx(reference.metrics["loss"], rel=1e-3)
    without = completed(assigned(folder, task=task | {"trainable_token_indices": ()}), bench)
    assert fast.metrics["trainable_params"] == without.metrics["trainable_params"] + len(TRAINED) * 32
    assert fast.metrics["loss"] != without.metrics["loss"]
    assert fast.adapter is not None
    merge(bench.artifacts.extract(fast.adapter.sha256, tmp_path / "adapter"), tmp_path / "merged")
    before, after = (
        AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).get_input_embeddings().weight
        for place in (folder / "model", tmp_path / "merged")
    )
    changed = ((after - before).abs().amax(1) > 0).nonzero().flatten().tolist()
    assert TRAINED[0] in changed  # the other one stands behind answers alone, where nothing is read of it
    assert set(changed) <= set(TRAINED)


def test_the_base_is_as_before(bench: Workbench, folder: Path) -> None:
    one = assigned(folder)
    completed(one, bench)
    plain = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    resident = next(value for key, value in bench._bases.items() if key[0] == one.task.model)  # type: ignore[index]
    assert all(torch.equal(left, plain.state_dict()[name]) for name, left in resident.base.model.state_dict().items())
    assert resident.base.description.trained_tokens == ()


def test_they_train_outside_packs_and_beside_loras_alone(folder: Path) -> None:
    trial = assigned(folder)
    assert "embeddings" in str(why_not_packed(trial, describe(trial.task.model)))
    model = describe_for(trial.task)
    fitting = {name for name, one in methods().items() if one.supports(model)}
    assert {"lora", "rslora", "dora", "pissa"} <= fitting
    method("base").require(model)
    assert fitting.isdisjoint({"ia3", "oft", "prefix_tuning", "ssf"})


@pytest.mark.parametrize("tokens", [(10_000,), (3, 3)])
def test_a_token_that_is_none_or_comes_twice_is_refused(folder: Path, tokens: tuple[int, ...]) -> None:
    task = assigned(folder).task.model_copy(update={"trainable_token_indices": tokens})
    assert isinstance(task, CausalLMSpec)
    with pytest.raises(InvalidInput) as caught:
        read(task)
    assert (caught.value.field, caught.value.found) == ("trainable_token_indices", tokens[0])

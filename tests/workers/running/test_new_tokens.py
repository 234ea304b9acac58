"""`new_tokens`: texts that become tokens; their rows are trained, exported, merged and written with."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from peftsearch import load_adapter
from tests.workers.tiny_chat_model import conversation, write_language_model
from workers.assignment import Assignment, Outcome
from workers.errors import InvalidInput
from workers.exports.merging import merge
from workers.generation.answers import answer
from workers.generation.chat import sides
from workers.generation.section import ANSWERS_FILE
from workers.generation.settings import GenerationSettings
from workers.models.description import describe, describe_for
from workers.models.heads import CAUSAL
from workers.models.loading import load_base, load_tokenizer
from workers.models.new_tokens import new_tokens
from workers.running.packing import why_not_packed
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.registry import task_of

LORA = {"method": "lora", "rank": 2, "targets": "all", "top_layers": 1, "learning_rate": 5e-2, "batch_size": 4}
NEW = ("<fruit>", "<tool>")


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    write_language_model(made / "model", tied=request.param)
    rng = random.Random(0)
    for role, rows in (("train", 24), ("validation", 8)):
        (made / f"{role}.jsonl").write_text("".join(json.dumps(_marked(rng)) + "\n" for _ in range(rows)))
        (made / f"{role}.pairs.jsonl").write_text("".join(json.dumps(_pair(rng)) + "\n" for _ in range(rows)))
    return made


def _marked(rng: random.Random) -> dict[str, Any]:
    """A conversation whose answer is a new token alone."""
    found = conversation(rng)
    kind = found["messages"][1]["content"].split()[1]
    found["messages"][1]["content"] = f"<{kind}>"
    return found


def _pair(rng: random.Random) -> dict[str, Any]:
    asked, answered = (one["content"] for one in _marked(rng)["messages"])
    return {"prompt": asked, "chosen": answered, "rejected": "one user ."}


def assigned(folder: Path, **fields: Any) -> Assignment:
    own = fields.pop("task", {})
    suffix = "pairs.jsonl" if own.get("type") == "preference" else "jsonl"
    task = {"type": "causal-lm", "model": str(folder / "model"), "max_length": 64, "new_tokens": NEW}
    task |= {role: str(folder / f"{role}.{suffix}") for role in ("train", "validation")} | own
    common = {"trial_id": "t", "attempt": 1, "epochs": 20, "seed": 1, "measure_latency": False, "config": LORA}
    return Assignment.model_validate(common | {"task": task} | fields)


def completed(one: Assignment, bench: Workbench) -> Outcome:
    found = train(one, bench, lambda _: "continue")
    assert found.status == "completed", found.reason
    return found


@pytest.mark.slow
def test_they_are_learnt_and_go_home_with_plain_peft_and_merged(bench: Workbench, folder: Path, tmp_path: Path) -> None:
    generation = {"metrics": ["exact_match"], "rows": 8, "max_new_tokens": 4}
    found = completed(assigned(folder, task={"generation": generation}), bench)
    tied = AutoModelForCausalLM.from_pretrained(folder / "model").config.tie_word_embeddings
    model = describe_for(assigned(folder).task)
    first = model.anatomy.vocabulary - len(NEW)
    assert model.trained_tokens == (first, first + 1)
    plain = completed(assigned(folder, epochs=1, task={"new_tokens": ()}), bench)
    rows = len(NEW) * 32 * (1 if tied else 2)
    assert found.metrics["trainable_params"] == plain.metrics["trainable_params"] + rows

    assert found.adapter is not None
    adapter = bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    kept = json.loads((adapter / ANSWERS_FILE).read_text())["answers"]
    assert sum(one["answer"].startswith(NEW) for one in kept) >= len(kept) / 2
    assert not any(token in one["base"]["answer"] for one in kept for token in NEW)  # which has never seen them

    tokenizer = AutoTokenizer.from_pretrained(adapter)
    asked = tokenizer.apply_chat_template(
        _marked(random.Random(7))["messages"][:1], add_generation_prompt=True, return_tensors="pt", return_dict=False
    )
    base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    base.resize_token_embeddings(model.anatomy.vocabulary, mean_resizing=False)
    adapted = peft.PeftModel.from_pretrained(base, adapter).eval()
    ours = load_adapter(AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32), adapter)
    by_itself = peft.AutoPeftModelForCausalLM.from_pretrained(adapter, dtype=torch.float32).eval()
    merge(adapter, tmp_path / "merged")
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").convert_tokens_to_ids(list(NEW)) == [first, first + 1]
    assert (whole.get_output_embeddings().weight is whole.get_input_embeddings().weight) == tied
    with torch.no_grad():
        logits = [one(input_ids=asked).logits for one in (adapted, ours, by_itself, whole)]
    assert all(torch.allclose(logits[0], other, atol=1e-4) for other in logits[1:])
    assert "resize_token_embeddings" in (adapter / "README.md").read_text()

    start = load_base(str(folder / "model"), 0, kind=CAUSAL, added_tokens=NEW).model
    moved = whole.get_input_embeddings().weight - start.get_input_embeddings().weight
    assert (moved[:first] == 0).all()
    learnt = whole.get_output_embeddings().weight - start.get_output_embeddings().weight
    assert (learnt.abs().amax(1) > 0).nonzero().flatten().tolist() == [first, first + 1]

    (_, winner), ours_tokenizer = sides(adapter)
    settings, ids = GenerationSettings(max_new_tokens=4), asked[0].tolist()
    said = [answer(one, ours_tokenizer, [ids], settings)[0].text for one in (winner.model, whole)]
    assert said[0] == said[1]


def test_engines_agree_and_preferences_train_them_too(bench: Workbench, folder: Path) -> None:
    both = [completed(assigned(folder, epochs=2, engine=name), bench) for name in ("fast", "reference")]
    losses = [one.metrics["loss"] for one in both]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    pairs = completed(assigned(folder, epochs=6, task={"type": "preference"}), bench)
    assert pairs.metrics["reward_accuracy"] >= 0.7
    again = completed(assigned(folder, epochs=6, task={"type": "preference"}, engine="reference"), bench)
    assert again.metrics["loss"] == pytest.approx(pairs.metrics["loss"], rel=1e-2)


def test_a_new_row_begins_as_the_mean_of_its_pieces(folder: Path) -> None:
    reference = str(folder / "model")
    (one,) = new_tokens(reference, ("small apple",))
    old = load_base(reference, 0, kind=CAUSAL).model.get_output_embeddings().weight
    new = load_base(reference, 0, kind=CAUSAL, added_tokens=("small apple",)).model.get_output_embeddings().weight
    assert one.id == len(old) == len(new) - 1
    assert torch.equal(new[: len(old)], old)
    assert torch.allclose(new[one.id], old[list(one.pieces)].mean(0))
    assert load_tokenizer(reference, ("small apple",))("a small apple .")["input_ids"].count(one.id) == 1


def test_such_trials_train_outside_packs(folder: Path) -> None:
    trial = assigned(folder)
    assert "embeddings" in str(why_not_packed(trial, describe(trial.task.model)))


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("user",), "already"),
        (("<a>", "<a>"), "twice"),
        ((" <a>",), "spaces"),
        (("<never>",), "no training row holds"),
    ],
)
@pytest.mark.parametrize("kind", ["causal-lm", "preference"])
def test_what_is_no_new_token_is_refused(folder: Path, kind: str, tokens: tuple[str, ...], said: str) -> None:
    task = assigned(folder, task={"type": kind, "new_tokens": tokens}).task
    with pytest.raises(InvalidInput) as caught:
        task_of(task).read(task, 0)
    assert caught.value.field == "new_tokens"
    assert said in caught.value.message

"""Positions drawn for each step (E²-LLM): what is drawn, what is read outside of training, and how it goes home."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from transformers import AutoModelForCausalLM

from peftsearch import load_adapter
from tests.workers.tiny_chat_model import conversation, write_language_model
from tests.workers.tiny_models import BUILDERS, tiny_base, tiny_description
from workers.assignment import Assignment, Outcome
from workers.data.tokens import Tokens, windows
from workers.engines.positions import DrawnPositions, serving_scale
from workers.errors import InvalidInput
from workers.exports.merging import merge
from workers.models.description import describe
from workers.models.positions import check_scaled, rotary
from workers.running.packing import why_not_packed
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.criterion import IGNORED

LORA = {"method": "lora", "rank": 2, "targets": "all", "top_layers": 1, "learning_rate": 2e-2, "batch_size": 4}
LENGTH, WINDOW = 48, 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    write_language_model(made / "model")
    rng = random.Random(0)

    def text() -> str:
        return " ".join(turn["content"] for _ in range(6) for turn in conversation(rng)["messages"])

    for role, rows in (("train", 20), ("validation", 6)):
        (made / f"{role}.jsonl").write_text("".join(json.dumps({"text": text()}) + "\n" for _ in range(rows)))
    return made


def assigned(folder: Path, scale: int, window: int | None = WINDOW, **fields: Any) -> Assignment:
    task = {"type": "causal-lm", "model": str(folder / "model"), "max_length": LENGTH, "train_length": window}
    task |= {role: str(folder / f"{role}.jsonl") for role in ("train", "validation")}
    config = LORA | {"position_scale": scale} | fields.pop("config", {})
    common = {"trial_id": "t", "attempt": 1, "epochs": 2, "seed": 1, "measure_latency": False}
    return Assignment.model_validate(common | {"task": task, "config": config} | fields)


def completed(one: Assignment, bench: Workbench) -> Outcome:
    found = train(one, bench, lambda _: "continue")
    assert found.status == "completed", found.reason
    return found


def test_a_step_reads_positions_of_a_longer_text_squeezed_into_those_that_are_known() -> None:
    base = tiny_base("llama")
    seen: list[torch.Tensor] = []
    drawn = DrawnPositions(most=4, window=9, serving=3, seed=5)
    drawn.listen(base)

    def remember(_module: Any, arguments: Any, named: Any) -> None:
        seen.append((named["position_ids"] if "position_ids" in named else arguments[1])[0].float())

    rotary(base.model, base.description.anatomy).register_forward_pre_hook(remember, with_kwargs=True)
    ids, scales = torch.arange(3, 12)[None], []
    for step in range(1, 61):
        with drawn.drawn_for(step), torch.no_grad():
            base.model(input_ids=ids)
        steps = seen[-1].diff()
        scale = round(1 / float(steps[0]))
        assert torch.allclose(steps, torch.full((8,), 1 / scale), atol=1e-5)
        assert 0 <= float(seen[-1][0]) <= float(seen[-1][-1]) <= 9
        scales.append(scale)
    assert set(scales) == {1, 2, 3, 4}
    with drawn.drawn_for(7), torch.no_grad():
        base.model(input_ids=ids)
    assert torch.equal(seen[-1], seen[6])  # a function of seed and step: resuming draws the same
    with torch.no_grad():
        base.model(input_ids=ids)
    assert torch.allclose(seen[-1], torch.arange(9) / 3)


def test_a_scale_of_one_is_ordinary_training_and_engines_draw_alike(bench: Workbench, folder: Path) -> None:
    plain = completed(assigned(folder, 1), bench).metrics["loss"]
    without = LORA | {"batch_size": 4}
    task = assigned(folder, 1).model_copy(update={"config": without})
    assert completed(task, bench).metrics["loss"] == plain
    scaled = [completed(assigned(folder, 4, engine=engine), bench).metrics["loss"] for engine in ("fast", "reference")]
    assert scaled[0] == pytest.approx(scaled[1], rel=1e-4)
    assert scaled[0] != pytest.approx(plain, rel=1e-4)
    packed = completed(assigned(folder, 4, config={"packing": "bfd", "batch_size": 1}), bench)
    assert packed.metrics["loss"] == pytest.approx(scaled[0], rel=0.5)


def test_resumed_training_draws_what_it_would_have_drawn(bench: Workbench, folder: Path) -> None:
    whole = completed(assigned(folder, 4), bench)
    paused = train(assigned(folder, 4, pause_every=1.0), bench, lambda _: "continue")
    assert paused.status == "paused"
    again = completed(assigned(folder, 4, checkpoint=paused.checkpoint), bench)
    assert again.metrics["loss"] == pytest.approx(whole.metrics["loss"], rel=1e-5)


def test_what_is_loaded_reads_positions_as_it_was_measured(bench: Workbench, folder: Path, tmp_path: Path) -> None:
    found = completed(assigned(folder, 4), bench)
    assert found.adapter is not None
    adapter = bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    merge(adapter, tmp_path / "merged")
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert whole.config.rope_parameters["rope_type"] == "linear"
    assert whole.config.rope_parameters["factor"] == LENGTH / WINDOW
    ours: Any = load_adapter(AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32), adapter)
    base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    card = (adapter / "README.md").read_text()
    line = card[card.index("for part in base.modules()") :].split("\nmodel =")[0]
    exec(line, {"base": base})
    by_card = peft.PeftModel.from_pretrained(base, adapter).eval()
    data = bench.data(assigned(folder, 4).task, 0).validation
    batch = {name: value for name, value in data.batch(np.arange(2)).items() if name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        logits = [model(**batch).logits[batch["attention_mask"] == 1] for model in (whole, ours, by_card)]
    assert all(torch.allclose(logits[0], other, atol=1e-4) for other in logits[1:])
    plain = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    with torch.no_grad():
        unscaled = peft.PeftModel.from_pretrained(plain, adapter).eval()(**batch).logits[batch["attention_mask"] == 1]
    assert not torch.allclose(logits[0], unscaled, atol=1e-3)


def test_rows_are_cut_into_windows_that_lose_no_token_to_learn() -> None:
    targets = np.array([IGNORED, IGNORED, IGNORED, 3, 4, IGNORED, 8, 9, IGNORED], dtype=np.int32)
    tokens = Tokens(np.arange(9, dtype=np.int32), None, np.array([0, 6, 9]), targets)
    cut, row = windows(tokens, 2)
    assert row.tolist() == [0, 0, 1]  # the first window of the first row holds nothing to learn
    assert np.split(cut.input_ids, cut.offsets[1:-1])[0].tolist() == [2, 3]
    assert cut.targets[cut.targets != IGNORED].tolist() == [3, 4, 8, 9]
    assert cut.lengths().max() == 2


def test_classes_without_shared_rotary_positions_are_refused_by_name(folder: Path) -> None:
    for kind in BUILDERS:
        model = tiny_description(kind)
        if model.anatomy.rotary:
            rotary(tiny_base(kind).model, model.anatomy)
            check_scaled(4, model)
            continue
        check_scaled(1, model)
        with pytest.raises(InvalidInput, match=f"4 on a {kind}") as caught:
            check_scaled(4, model)
        assert caught.value.field == "position_scale"
    trial = assigned(folder, 4)
    assert "positions" in str(why_not_packed(trial, describe(trial.task.model)))
    assert [serving_scale(longest, 64) for longest in (32, 64, 65, 256)] == [1, 1, 2, 4]

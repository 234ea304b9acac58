"""`cpt`: it begins as training examples in front of the text, and stays near them; what it does not suit refuses it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from peftsearch import load_adapter
from tests.workers.tiny_language_model import tiny_llama, tiny_tokenizer
from tests.workers.tiny_models import tiny_description
from workers.errors import InvalidInput
from workers.generation.answers import answer
from workers.generation.settings import GenerationSettings
from workers.methods.attached import AdapterCard, Attached, TrainingSetup
from workers.methods.forms.context_prompt import FORMAT, INPUT, LABEL, ContextPrompt
from workers.methods.registry import method
from workers.methods.space import methods_space
from workers.models.description import ModelDescription, describe, for_task
from workers.models.heads import CAUSAL
from workers.models.loading import Base, make_base
from workers.models.token_scores import LIKELIHOOD, labelled_scores
from workers.tasks.catalogue.causal_lm import CausalLMSpec
from workers.tasks.catalogue.preference import PreferenceSpec
from workers.tasks.catalogue.text_classification import TextClassificationSpec
from workers.tasks.criterion import IGNORED

KNOBS = {"length": 20, "epsilon": 0.05, "format_epsilon": 0.4, "decay": 0.5}
FRONT, BACK = [1, 50], [60, 1]


def _rows(seed: int, rows: int) -> dict[str, Tensor]:
    """A template around two words, and an answer that follows from the first of them; padded on the right."""
    rng = np.random.default_rng(seed)
    ids, labels = torch.zeros(rows, 10, dtype=torch.long), torch.full((rows, 10), IGNORED)
    for row in range(rows):
        words = rng.integers(70, 80, size=int(rng.integers(1, 4))).tolist()
        row_ids = [*FRONT, *words, *BACK, 100 + words[0], 2]
        ids[row, : len(row_ids)] = torch.tensor(row_ids)
        labels[row, len(row_ids) - 3 : len(row_ids) - 1] = torch.tensor(row_ids[-2:])
    return {"input_ids": ids, "attention_mask": (ids != 0).long(), "labels": labels}


def _batches(size: int) -> Iterator[dict[str, Tensor]]:
    for seed in range(30):
        yield _rows(seed, size)


def _loss(outputs: Tensor, labels: Tensor) -> Tensor:
    return outputs[..., LIKELIHOOD].sum() / (labels != IGNORED).sum()


@pytest.fixture
def base() -> Base:
    return make_base(tiny_llama(), "tiny")


def _attached(base: Base) -> Attached:
    one = method("cpt")
    setup = TrainingSetup(20, _batches, _loss, labelled_scores)
    return one.attach(base, one.complete(base.description, KNOBS), 7, setup)


def _prompt(attached: Attached) -> ContextPrompt:
    found: Any = attached.model.get_submodule("context_prompt")
    return found  # type: ignore[no-any-return]


def _train(attached: Attached, steps: int) -> list[float]:
    optimizer = torch.optim.AdamW(attached.parameters().values(), lr=0.02, weight_decay=0.0)
    losses = []
    for step in range(1, steps + 1):
        rows = _rows(100 + step % 4, 8)
        loss, extra = _loss(labelled_scores(attached.model, rows), rows["labels"]), attached.auxiliary_loss()
        assert extra is not None
        (loss + extra).backward()
        optimizer.step()
        attached.after_step(step)
        optimizer.zero_grad()
        losses.append(float((loss + extra).detach()))
    return losses


def test_it_begins_as_the_base_with_whole_examples_before_the_text(base: Base) -> None:
    rows = _rows(99, 4)
    model = copy.deepcopy(base.model)
    attached = _attached(base)
    prompt = _prompt(attached)
    ids, kinds, shots = prompt.ids.tolist(), prompt.kinds.tolist(), prompt.shots.tolist()
    assert sorted(set(shots)) == list(range(1, max(shots) + 1))
    assert shots == sorted(shots, reverse=True)  # the nearest stands last
    last = [(token, kind) for token, kind, shot in zip(ids, kinds, shots, strict=True) if shot == 1]
    assert [token for token, _ in last][:2] == FRONT
    assert [kind for _, kind in last] == [FORMAT] * 2 + [INPUT] * (len(last) - 6) + [FORMAT] * 2 + [LABEL] * 2
    with torch.no_grad():
        found = labelled_scores(attached.model, rows)
        longer = torch.cat([prompt.ids.expand(4, -1), rows["input_ids"]], dim=1)
        mask = torch.cat([torch.ones(4, len(ids), dtype=torch.long), rows["attention_mask"]], dim=1)
        wanted = torch.cat([torch.full((4, len(ids)), IGNORED), rows["labels"]], dim=1)
        expected = labelled_scores(model, {"input_ids": longer, "attention_mask": mask, "labels": wanted})
    torch.testing.assert_close(found, expected[:, len(ids) :], atol=1e-5, rtol=1e-5)
    attached.detach()


def test_vectors_stay_in_their_balls_and_answers_where_they_were(base: Base) -> None:
    attached = _attached(base)
    losses = _train(attached, 20)
    prompt = _prompt(attached)
    moved = (prompt.vectors() - base.model.get_input_embeddings()(prompt.ids)).norm(dim=1)
    scale = (base.description.anatomy.embedding_size / 2048) ** 0.5
    radius = torch.tensor([0.4 * scale, 0.05 * scale, 0.0])[prompt.kinds]
    assert (moved <= radius + 1e-6).all()
    assert all(moved[prompt.kinds == kind].max() > 0.8 * radius[prompt.kinds == kind].max() for kind in (FORMAT, INPUT))
    assert moved[prompt.kinds == LABEL].max() == 0
    assert losses[-1] < losses[0]
    attached.detach()


def test_the_nearer_an_answer_the_more_it_counts(base: Base) -> None:
    attached = _attached(base)
    prompt = _prompt(attached)
    ids, shots = prompt.ids[None], prompt.shots
    labels = torch.where(prompt.kinds[1:] == LABEL, prompt.ids[1:], IGNORED)
    labels = torch.cat([labels, torch.tensor([IGNORED])])[None]
    plain = copy.deepcopy(base.model)
    plain._forward_pre_hooks.clear()
    with torch.no_grad():
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
        losses = labelled_scores(plain, batch)[0, :, LIKELIHOOD]
        found = attached.auxiliary_loss()
    assert found is not None
    learnt = prompt.kinds[1:] == LABEL
    of_shot = {int(shot): losses[:-1][(shots[1:] == shot) & learnt] for shot in set(shots.tolist())}
    expected = sum(0.5**shot * float(one.mean()) for shot, one in of_shot.items() if len(one))
    assert float(found) == pytest.approx(expected, rel=1e-4)
    attached.detach()


def test_answers_are_those_of_a_pass_without_cache_or_neighbours(base: Base, tmp_path: Path) -> None:
    attached = _attached(base)
    _train(attached, 3)
    attached.set_training(False)
    model: Any = attached.model
    prompts = [[1, 50, 71, 60, 1], [1, 50, 72, 73, 74, 75, 60, 1]]
    settings = GenerationSettings(max_new_tokens=6)
    both = [one.text for one in answer(model, tiny_tokenizer(), prompts, settings)]
    for prompt, text in zip(prompts, both, strict=True):
        ids = list(prompt)
        with torch.no_grad():
            for _ in range(6):
                ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
                if ids[-1] == 2:
                    break
        assert text == str(tiny_tokenizer().decode(ids[len(prompt) :], skip_special_tokens=True)).strip()

    with torch.no_grad():
        before = model(input_ids=torch.tensor([prompts[0]])).logits
    attached.save(tmp_path, AdapterCard("cpt", "tiny", head=CAUSAL))
    attached.detach()
    loaded = load_adapter(tiny_llama(), tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=torch.tensor([prompts[0]])).logits, before)


def _seen(model: str, task: str) -> ModelDescription:
    section: dict[str, Any] = {"causal-lm": CausalLMSpec, "preference": PreferenceSpec}
    kind = section.get(task, TextClassificationSpec)
    description = describe("builtin:minilm") if model == "encoder" else tiny_description("llama")
    return for_task(description, kind(model="x", train="y", max_length=32))


def test_other_tasks_and_encoders_refuse_it_by_name() -> None:
    one = method("cpt")
    assert "cpt" in methods_space(_seen("decoder", "causal-lm")).by_name["method"].choices  # type: ignore[union-attr]
    for model, task, said in (
        ("decoder", "text-classification", "cpt on a task of type text-classification.*of type causal-lm"),
        ("decoder", "preference", "cpt on a task of type preference"),
        ("encoder", "causal-lm", "cpt on a bert model.*decoders"),
    ):
        seen = _seen(model, task)
        with pytest.raises(InvalidInput, match=said) as caught:
            one.space(seen)
        assert caught.value.field == "method"
        assert not one.supports(seen)


def test_too_few_rows_for_the_context_are_said(base: Base) -> None:
    one = method("cpt")
    knobs = one.complete(base.description, {"length": 200})
    setup = TrainingSetup(4, lambda _size: iter([_rows(0, 1)]), _loss, labelled_scores)
    with pytest.raises(ValueError, match="a context of 200 needs more"):
        one.attach(base, knobs, 0, setup)
    attached = one.attach(base, knobs | {"length": 8}, 0, setup)  # the base is as before
    attached.detach()

"""Costs: operations against torch's counter, memory against what is really saved, latency, bytes."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.workers.tiny_chat_model import write_language_model
from tests.workers.tiny_models import BUILDERS, batch, tiny_base, tiny_description
from workers.costs import BYTES_PER_TRAINED, adapter_bytes, training_flops, training_memory
from workers.engines.prefix import upper_layers
from workers.methods.attached import AdapterCard
from workers.methods.registry import method
from workers.models.heads import CAUSAL
from workers.models.loading import load_base
from workers.models.token_scores import labelled_scores
from workers.tasks.criterion import IGNORED


def test_flops_match_torchs_counter() -> None:
    base = load_base("builtin:minilm", labels=3)
    one = method("lora")
    knobs = one.complete(base.description, {"top_layers": 3, "targets": "all"})
    attached = one.attach(base, knobs, 0, None)
    ids = torch.full((4, 24), 7)
    with FlopCounterMode(display=False) as counter:
        attached.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.sum().backward()
    trained = one.trainable_parameters(
        base.description, one.complete(base.description, {"top_layers": 3, "targets": "all"})
    )
    found = training_flops(base.description.anatomy, attached.lowest_layer, trained, np.full(4, 24), epochs=1)
    attached.detach()
    assert found == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_flops_of_a_language_model_count_its_head_on_the_tokens_with_a_target(tmp_path: Path) -> None:
    base = load_base(str(write_language_model(tmp_path)), labels=0, kind=CAUSAL)
    attached = method("lora").attach(base, method("lora").complete(base.description, {}), 0, None)
    anatomy, lengths, counted, told = base.description.anatomy, np.full(4, 24), [], []
    for wanted in (1, 20):
        batch = {"input_ids": torch.full((4, 24), 7), "attention_mask": torch.ones(4, 24, dtype=torch.long)}
        labels = torch.full((4, 24), IGNORED)
        labels[:, :wanted] = 9
        with FlopCounterMode(display=False) as counter:
            labelled_scores(attached.model, {**batch, "labels": labels}).sum().backward()
        counted.append(counter.get_total_flops())
        told.append(training_flops(anatomy, attached.lowest_layer, 0, lengths, 1, scored=4 * wanted))
    attached.detach()
    assert told[1] - told[0] == counted[1] - counted[0] > 0


def test_memory_counts_state_and_activations_above_the_lowest_layer() -> None:
    base = tiny_base("bert")
    one = method("lora")
    found = {}
    for top in (1, 2):
        attached = one.attach(base, one.complete(base.description, {"top_layers": top}), 0, None)
        trained = attached.parameters().values()
        found[top] = training_memory(attached.model, trained, batch())
        assert found[top] > BYTES_PER_TRAINED * sum(value.numel() for value in trained)
        attached.detach()
    head = method("head").attach(base, {}, 0, None)
    only_head = training_memory(head.model, head.parameters().values(), batch())
    head.detach()
    assert only_head < found[1] < found[2]
    assert only_head < BYTES_PER_TRAINED * base.head_size + 4 * 4 * 24 * 4


@pytest.mark.parametrize("kind", [kind for kind in sorted(BUILDERS) if tiny_description(kind).anatomy.reads])
@pytest.mark.parametrize(("name", "knobs"), [("lora", {"top_layers": 1}), ("head", {})])
def test_memory_is_the_same_without_the_frozen_layers(kind: str, name: str, knobs: dict[str, int]) -> None:
    base, one = tiny_base(kind), method(name)
    attached = one.attach(base, one.complete(base.description, knobs), 0, None)
    trained = list(attached.parameters().values())
    whole = training_memory(attached.model, trained, batch())
    with upper_layers(base, attached.lowest_layer) as entry:
        assert entry is not None
        entry.set(torch.zeros(*batch()["input_ids"].shape, base.description.anatomy.hidden_size))
        assert training_memory(attached.model, trained, batch()) == whole
    attached.detach()


def test_memory_of_sparse_adapters() -> None:
    base = tiny_base("bert")
    knobs = {"density": 0.05, "select": "largest", "targets": "qv", "top_layers": 2}
    attached = method("supertuning").attach(base, knobs, 0, None)
    trained = list(attached.parameters().values())
    found = training_memory(attached.model, trained, batch())
    attached.detach()
    assert found > BYTES_PER_TRAINED * sum(value.numel() for value in trained)


def test_bytes_are_those_of_the_weights(tmp_path: Path) -> None:
    base = tiny_base("bert")
    attached = method("head").attach(base, {}, 0, None)
    attached.save(tmp_path, AdapterCard("head", "tiny", labels=("a", "b", "c")))
    attached.detach()
    assert base.head_size * 4 < adapter_bytes(tmp_path) < base.head_size * 4 + 1000


@pytest.mark.slow
def test_the_account_of_memory_leaves_nothing_behind() -> None:
    base = tiny_base("bert")
    weight = base.model.get_submodule(base.description.path(0, "attention.self.query")).weight.requires_grad_()

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    training_memory(base.model, [weight], batch())
    before = tensors()
    for _ in range(3):
        training_memory(base.model, [weight], batch())
    assert tensors() == before

"""`das`: the bandit finds what is redundant, and layers that are passed by are not run, nor when it is reloaded."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy

from tests.workers.tiny_models import CLASSES, LABELS, VOCABULARY, batch
from workers.methods.attached import AdapterCard, TrainingSetup
from workers.methods.catalogue.das import bypasses
from workers.methods.forms.bottleneck import Bottleneck
from workers.methods.forms.bypassed import Bandit, Bypass
from workers.methods.loading import load_adapter
from workers.methods.registry import method
from workers.models.loading import Base, make_base

LAYERS = 6
STEPS = 10


def deep_model() -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        num_labels=CLASSES,
        hidden_size=24,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
    )
    return transformers.BertForSequenceClassification(config).eval()


def executed(base: Base, model: torch.nn.Module) -> Counter[int]:
    """How often the attention of each layer runs in one pass."""
    found: Counter[int] = Counter()
    layers = base.model.get_submodule(base.description.anatomy.layers_path)
    handles = [
        layer.attention.register_forward_hook(lambda *_given, number=number: found.update([number]))
        for number, layer in enumerate(layers)  # type: ignore[arg-type]
    ]
    with torch.no_grad():
        model(**batch())
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_bandit_finds_the_layers_that_do_least_harm(seed: int) -> None:
    generator, random = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    layers = [Bypass(Bottleneck(4, 2, 1.0, generator), seed) for _ in range(8)]
    harm = random.permutation([0.02, 0.05, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    bandit = Bandit(layers, 2)
    assert len({tuple(bandit.drawn(step)) for step in range(40)}) > 10  # at first it tries everything
    for step in range(40):
        sets = [bandit.drawn(step, number) for number in range(3)]
        bandit.learn(sets, [float(harm[places].sum() + 0.05 * random.random()) for places in sets])
    ranks = sorted(sum(harm[list(places)]) for places in combinations(range(8), 2))
    assert sum(harm[bandit.best()]) <= ranks[1]  # among 28 sets the best or the next


def test_whether_a_layer_is_passed_by_is_asked_of_the_device_when_that_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layers = [Bypass(Bottleneck(4, 2, 1.0, torch.Generator()), 0) for _ in range(3)]
    asked, told = list[bool](), torch.Tensor.__bool__
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda tensor: (asked.append(True), told(tensor))[1])
    for places in ([1], [0, 2]):
        Bandit(layers, 2).skip(places)
        for _ in range(5):
            assert [one.passed_by() for one in layers] == [number in places for number in range(3)]
    assert len(asked) == 2 * 3
    layers[1].load_state_dict(layers[0].state_dict())  # as a stored adapter is loaded
    assert layers[1].passed_by()
    layers[1].skipped = torch.zeros((), dtype=torch.bool)  # as a module that moves to another device has it
    assert not layers[1].passed_by()


def test_layers_that_are_passed_by_are_not_run_and_an_adapter_stands_for_them(tmp_path: Path) -> None:
    base = make_base(deep_model(), "deep")
    chosen = method("das")
    knobs = chosen.complete(base.description, {"size": 6, "skipped": 3, "search_share": 0.5})

    def body() -> torch.Tensor:
        with torch.no_grad():
            return base.model.bert(**batch()).last_hidden_state  # type: ignore[no-any-return,operator,union-attr]

    plain = body()

    def batches(size: int) -> object:
        for _ in range(4):
            yield {**{name: value.repeat(size, 1)[:size] for name, value in batch().items()}, "labels": LABELS}

    setup = TrainingSetup(STEPS, lambda _size: batches(len(LABELS)), cross_entropy)  # type: ignore[arg-type,return-value]
    attached = chosen.attach(base, knobs, 3, setup)
    assert sum(executed(base, attached.model).values()) == LAYERS  # at the start the base's
    optimizer = torch.optim.AdamW(attached.parameters().values(), lr=1e-3)
    sets = []
    for step in range(1, STEPS + 1):
        cross_entropy(attached.model(**batch()).logits, LABELS).backward()
        optimizer.step()
        attached.after_step(step)
        optimizer.zero_grad()
        ran = executed(base, attached.model)
        assert len(ran) == LAYERS - 3
        assert ran[0] == 1  # caches of language models are counted by the first
        sets.append(frozenset(ran))
    assert len(set(sets[:5])) > 1  # the search tries several
    assert len(set(sets[4:])) == 1  # and has settled at half of the training
    attached.set_training(False)
    with torch.no_grad():
        skipped = attached.model(**batch()).logits
    assert not torch.allclose(body(), plain)
    attached.save(tmp_path, AdapterCard("das", "deep"))
    again = deep_model()
    loaded = load_adapter(again, tmp_path)
    fresh = make_base(again, "deep")
    assert frozenset(executed(fresh, loaded)) == sets[-1]
    with torch.no_grad():
        assert torch.allclose(loaded(**batch()).logits, skipped, atol=1e-6)
    passed = [one for one in bypasses(base) if bool(one.skipped)]
    with torch.no_grad():
        passed[0].adapter.up.bias += 1.0
        assert not torch.allclose(attached.model(**batch()).logits, skipped)
    attached.detach()
    assert torch.equal(body(), plain)

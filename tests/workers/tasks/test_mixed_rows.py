"""Mixup and the contrastive loss: what they say of known rows, that they are off by default, and what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.methods.head_states import HeadStates
from workers.models.description import describe
from workers.running.packing import why_not_packed
from workers.running.preparing import prepare
from workers.running.trial import attach, train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec
from workers.tasks.losses import classification_loss, row_loss, supervised_contrast

TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=64, validation_rows=32
)
LORA = {"method": "lora", "rank": 4, "alpha": 8, "targets": "all", "top_layers": 2, "learning_rate": 5e-3}


def assignment(**config: Any) -> Assignment:
    return Assignment(trial_id="t", attempt=1, task=TASK, config=LORA | config, epochs=2, seed=1, measure_latency=False)


def test_mixed_rows_count_for_both_classes_by_their_share() -> None:
    logits, targets = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 1, 2])
    plain = classification_loss(logits, targets, Hyperparameters())
    assert torch.equal(row_loss(logits, targets, Hyperparameters()), plain)
    torch.manual_seed(3)
    share = float(torch.distributions.Beta(torch.tensor(0.4), torch.tensor(0.4)).sample())
    others = torch.randperm(6)
    mixed = share * logits + (1 - share) * logits[others]
    expected = share * cross_entropy(mixed, targets, reduction="sum")
    expected += (1 - share) * cross_entropy(mixed, targets[others], reduction="sum")
    torch.manual_seed(3)
    assert torch.allclose(row_loss(logits, targets, Hyperparameters(mixup=0.4)), expected)


def test_states_by_their_class_have_a_small_loss_and_lonely_rows_none() -> None:
    apart = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    assert supervised_contrast(apart, torch.tensor([0, 0, 1, 1])) < 0.1
    assert supervised_contrast(apart, torch.tensor([0, 1, 0, 1])) > 1.0
    assert supervised_contrast(apart, torch.tensor([0, 1, 2, 3])) == 0.0
    moved = apart.clone().requires_grad_()
    supervised_contrast(moved, torch.tensor([0, 1, 2, 2])).backward()
    assert moved.grad is not None
    assert torch.isfinite(moved.grad).all()


def test_states_that_move_by_the_loss_gather_by_their_class() -> None:
    states = torch.randn(12, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets = torch.arange(12) % 3
    optimizer = torch.optim.Adam([states], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        supervised_contrast(states, targets).backward()
        optimizer.step()
    near = normalize(states.detach(), dim=-1) @ normalize(states.detach(), dim=-1).T
    same = targets[:, None] == targets[None]
    assert near[same].min() > near[~same].max() + 0.4


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_training_adds_the_contrast_of_what_the_head_reads(tmp_path: Path, engine: str) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    still = {"batch_size": 64, "learning_rate": 1e-12}  # one step that moves nothing

    def loss(contrast: float) -> float:
        wanted = assignment(contrast=contrast, **still).model_copy(update={"engine": engine, "epochs": 1.0})
        return train(wanted, bench, lambda _report: "continue").metrics["train_loss"]

    prepared = prepare(assignment(**still), bench)
    attached = attach(prepared, 1)
    attached.set_training(False)
    rows = np.arange(64)
    with torch.no_grad(), HeadStates(attached.model, attached.heads()) as head:
        attached.model(**prepared.data.train.batch(rows))
        expected = float(supervised_contrast(head.states, prepared.data.train.targets(rows)))
    attached.detach()
    assert expected > 0.5
    assert loss(0.5) - loss(0.0) == pytest.approx(0.5 * expected, rel=1e-3)


def test_such_trials_train_alone_and_again_alike(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    for name in ("mixup", "contrast"):
        wanted = assignment(**{name: 0.5})
        assert "mixed or compared" in str(why_not_packed(wanted, describe(TASK.model)))
        with pytest.raises(InvalidInput) as caught:
            prepare(wanted.model_copy(update={"shards": 2}), bench)
        assert caught.value.field == name
    once, again, plain = (
        train(assignment(mixup=mixup), bench, lambda _report: "continue").metrics for mixup in (0.5, 0.5, 0.0)
    )
    assert once["loss"] == again["loss"] != plain["loss"]

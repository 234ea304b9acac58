"""A head that reads every position, under every method and on every class of model: both engines step alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.workers.methods.test_conformance import CASES, OF_ENCODERS
from tests.workers.tiny_models import BUILDERS, VOCABULARY, tiny_model
from workers.data.tokens import Tokens
from workers.engines.batches import StepPlan
from workers.engines.course import TrainStep
from workers.engines.fast import fast_trainee
from workers.engines.inputs import Inputs
from workers.engines.prefix_store import PrefixStore
from workers.engines.reference import reference_trainee
from workers.engines.resident import ResidentBase
from workers.engines.trainee import AttachedTrainee
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import TrainingSetup
from workers.methods.registry import method
from workers.models.families.registry import heads
from workers.models.loading import make_base
from workers.tasks.catalogue.token_classification import TASK
from workers.tasks.criterion import IGNORED

STEPS = 2
HYPERPARAMETERS = Hyperparameters(learning_rate=2e-3, batch_size=8)


def split(rows: int, seed: int) -> Inputs:
    random = np.random.default_rng(seed)
    lengths = random.integers(4, 12, size=rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = random.integers(3, VOCABULARY, size=offsets[-1]).astype(np.int32)
    tags = random.integers(0, 3, offsets[-1]).astype(np.int32)
    tags[random.random(offsets[-1]) < 0.2] = IGNORED
    tags[offsets[:-1]] = IGNORED  # the token that every encoder puts first
    return Inputs(Tokens(ids, None, offsets, tags), 0, TASK.criterion(None, ("O", "B-a", "I-a")))


TRAIN, VALIDATION = split(24, 0), split(12, 1)


def resident(kind: str) -> ResidentBase:
    """The tiny model of a class with another head."""
    original = tiny_model(kind)
    name = type(original).__name__.replace("SequenceClassification", "TokenClassification")
    torch.manual_seed(0)
    model = getattr(transformers, name)(original.config)
    model.load_state_dict(original.state_dict(), strict=False)
    return ResidentBase.of(make_base(model, "tiny"))


def trained(where: ResidentBase, name: str, knobs: dict[str, Any], store: PrefixStore | None) -> list[float]:
    """Losses of a few steps, and the validation loss behind them; on the fast engine where there is a store."""
    one = method(name)
    values = one.complete(where.base.description, knobs)

    def labelled(size: int) -> Iterator[dict[str, torch.Tensor]]:
        for rows in np.split(np.arange(len(TRAIN)), range(size, len(TRAIN), size)):
            yield {**TRAIN.batch(rows), "labels": TRAIN.targets(rows)}

    attached = one.attach(where.base, values, 7, TrainingSetup(STEPS, labelled, TRAIN.criterion.mean_loss))
    torch.manual_seed(11)
    try:
        own = sum(value.numel() for value in attached.parameters().values()) - where.base.head_size
        assert own == one.trainable_parameters(where.base.description, values)
        if store is None:
            return steps(reference_trainee(attached, TRAIN, VALIDATION, HYPERPARAMETERS))
        with fast_trainee(where, attached, TRAIN, VALIDATION, HYPERPARAMETERS, store) as trainee:
            return steps(trainee)
    finally:
        attached.detach()


def steps(trainee: AttachedTrainee) -> list[float]:
    batches = StepPlan(TRAIN.lengths, HYPERPARAMETERS.batch_size, 1, 10.0, seed=5).after(0)
    losses = [trainee.train_step(TrainStep(number, next(batches), 2e-3)) for number in range(1, STEPS + 1)]
    return [*losses, trainee.evaluate()["loss"]]


@pytest.fixture(scope="module")
def bert() -> ResidentBase:
    return resident("bert")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PrefixStore:
    return PrefixStore(Path(tmp_path_factory.mktemp("prefixes")), 1 << 28)


@pytest.mark.parametrize("name", OF_ENCODERS)
def test_every_method_trains_alike_on_both_engines(bert: ResidentBase, store: PrefixStore, name: str) -> None:
    knobs = CASES[name][-1]
    assert trained(bert, name, knobs, store) == pytest.approx(trained(bert, name, knobs, None), rel=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in BUILDERS if "TokenClassification" in heads(kind)] + ["t5", "umt5"])
@pytest.mark.parametrize(("name", "knobs"), [("lora", {"rank": 2, "top_layers": 1}), ("head", {})])
def test_every_class_of_model_trains_alike_on_both_engines(
    store: PrefixStore, kind: str, name: str, knobs: dict[str, Any]
) -> None:
    where = resident(kind)
    assert where.base.kind.reads == "every"
    assert trained(where, name, knobs, store) == pytest.approx(trained(where, name, knobs, None), rel=1e-4)

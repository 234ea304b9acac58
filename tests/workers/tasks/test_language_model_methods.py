"""Every method that suits a decoder under a language model's head, and every class of decoder: engines step alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.workers.methods.test_conformance import CASES, IN_TURN
from tests.workers.tiny_models import BUILDERS, VOCABULARY, tiny_description, tiny_model
from workers.data.tokens import Tokens
from workers.engines.batches import StepPlan
from workers.engines.course import TrainStep
from workers.engines.fast import fast_trainee
from workers.engines.inputs import Inputs
from workers.engines.prefix_store import PrefixStore
from workers.engines.reference import reference_trainee
from workers.engines.resident import ResidentBase
from workers.engines.trainee import AttachedTrainee
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import TrainingSetup
from workers.methods.registry import method
from workers.models.loading import make_base
from workers.models.token_scores import labelled_scores
from workers.tasks.catalogue.causal_lm import TASK
from workers.tasks.criterion import IGNORED

STEPS = 3
HYPERPARAMETERS = Hyperparameters(learning_rate=5e-3, batch_size=8)
DECODERS = [kind for kind in BUILDERS if tiny_description(kind).anatomy.causal]


def split(rows: int, seed: int) -> Inputs:
    """Rows that count upwards, whose second half is learnt: what comes next follows from what stands there."""
    random = np.random.default_rng(seed)
    lengths = random.integers(6, 14, size=rows)
    starts = random.integers(3, VOCABULARY - 20, size=rows)
    ids = [np.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    targets = [np.append(row[1:], IGNORED) for row in ids]
    for row in targets:
        row[: len(row) // 2] = IGNORED
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    flat, wanted = np.concatenate(ids).astype(np.int32), np.concatenate(targets).astype(np.int32)
    return Inputs(Tokens(flat, None, offsets, wanted), 0, TASK.criterion(None, ()))


TRAIN, VALIDATION = split(24, 0), split(12, 1)


def resident(kind: str) -> ResidentBase:
    """The tiny model of a class with a head over its vocabulary."""
    original = tiny_model(kind)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(original.config)
    model.load_state_dict(original.state_dict(), strict=False)
    return ResidentBase.of(make_base(model, "tiny"))


def trained(where: ResidentBase, name: str, knobs: dict[str, Any], store: PrefixStore | None) -> list[float]:
    """Losses of a few steps, and the validation loss behind them; on the fast engine where there is a store."""
    one = method(name)
    values = one.complete(where.base.description, knobs)

    def labelled(size: int) -> Iterator[dict[str, torch.Tensor]]:
        for rows in np.split(np.arange(len(TRAIN)), range(size, len(TRAIN), size)):
            yield {**TRAIN.batch(rows), "labels": TRAIN.targets(rows)}

    setup = TrainingSetup(STEPS, labelled, TRAIN.criterion.mean_loss, labelled_scores)
    attached = one.attach(where.base, values, 7, setup)
    torch.manual_seed(11)
    try:
        own = sum(value.numel() for value in attached.parameters().values())
        assert own == one.trainable_parameters(where.base.description, values)
        if store is None:
            return steps(reference_trainee(attached, TRAIN, VALIDATION, HYPERPARAMETERS))
        with fast_trainee(where, attached, TRAIN, VALIDATION, HYPERPARAMETERS, store) as trainee:
            return steps(trainee)
    finally:
        attached.detach()


def steps(trainee: AttachedTrainee) -> list[float]:
    batches = StepPlan(TRAIN.lengths, HYPERPARAMETERS.batch_size, 1, 10.0, seed=5).after(0)
    losses = [trainee.train_step(TrainStep(number, next(batches), 5e-3)) for number in range(1, STEPS + 1)]
    return [*losses, trainee.evaluate()["loss"]]


@pytest.fixture(scope="module")
def llama() -> ResidentBase:
    return resident("llama")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PrefixStore:
    return PrefixStore(Path(tmp_path_factory.mktemp("prefixes")), 1 << 28)


def fitting(name: str) -> dict[str, Any]:
    """The last of a method's cases that the sizes of a Llama take."""
    for knobs in reversed(CASES[name]):
        with suppress(InvalidInput):
            method(name).complete(tiny_description("llama"), knobs)
            return knobs
    raise AssertionError(f"no case of {name} fits a Llama")


def suits(name: str) -> bool:
    return method(name).supports(tiny_description("llama")) and method(name).family != "head"


# The groups of l4q's cases fit no tiny Llama.
@pytest.mark.parametrize("name", [name for name in CASES if suits(name) and name not in {"l4q", *IN_TURN}])
def test_every_method_trains_alike_on_both_engines(llama: ResidentBase, store: PrefixStore, name: str) -> None:
    before = {key: value.clone() for key, value in llama.base.model.state_dict().items()}
    knobs = fitting(name)
    expected = trained(llama, name, knobs, None)
    assert trained(llama, name, knobs, store) == pytest.approx(expected, rel=1e-4)
    assert expected[-1] != pytest.approx(trained_not_at_all(llama), abs=1e-6)
    assert all(torch.equal(value, before[key]) for key, value in llama.base.model.state_dict().items())


def trained_not_at_all(where: ResidentBase) -> float:
    attached = method("base").attach(where.base, {}, 7, None)
    try:
        return reference_trainee(attached, TRAIN, VALIDATION, HYPERPARAMETERS).evaluate()["loss"]
    finally:
        attached.detach()


@pytest.mark.parametrize("kind", DECODERS)
def test_every_class_of_decoder_trains_alike_on_both_engines(store: PrefixStore, kind: str) -> None:
    where = resident(kind)
    knobs = {"rank": 2, "top_layers": 1}
    assert trained(where, "lora", knobs, store) == pytest.approx(trained(where, "lora", knobs, None), rel=1e-4)

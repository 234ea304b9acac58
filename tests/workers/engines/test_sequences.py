"""Rows that share a sequence have the losses and gradients of rows apart, on every family of decoders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.workers.methods.test_conformance import CASES
from tests.workers.tasks.test_language_model_methods import DECODERS, TRAIN, VALIDATION, fitting, resident, suits
from tests.workers.tiny_models import UNKNOWN, tiny_description
from workers.engines.batches import StepPlan
from workers.engines.course import TrainStep
from workers.engines.fast import fast_trainee
from workers.engines.passes import WholePass
from workers.engines.prefix_store import PrefixStore
from workers.engines.reference import reference_trainee
from workers.engines.resident import ResidentBase
from workers.engines.sequences import SequencePass, in_sequences, seat
from workers.engines.trainee import AttachedTrainee
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached, TrainingSetup
from workers.methods.registry import method, methods
from workers.models.token_scores import labelled_scores
from workers.running.packing import check_packing, why_rows_apart

CAPACITY = 40
ROWS = np.random.default_rng(3).permutation(len(TRAIN))
PACKED = Hyperparameters(packing="bfd", batch_size=2, learning_rate=5e-3)
SUITED = [name for name in CASES if suits(name) and name != "l4q"]  # its groups fit no tiny Llama


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(4, 64))
def test_every_token_has_one_seat_and_no_sequence_is_longer_than_asked_for(sizes: list[int], capacity: int) -> None:
    lengths = np.array(sizes)
    starts = np.cumsum(lengths) - lengths
    seating = seat(lengths, starts, capacity)
    taken = seating.tokens[seating.tokens >= 0]
    assert sorted(taken.tolist()) == list(range(int(lengths.sum())))
    assert seating.tokens.shape[1] <= max(capacity, int(lengths.max()))
    for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        places = seating.back[row, :length]
        assert seating.tokens.reshape(-1)[places].tolist() == list(range(start, start + length))
        assert seating.positions.reshape(-1)[places].tolist() == list(range(length))
        assert len(set((places // seating.tokens.shape[1]).tolist())) == 1
        assert (seating.back[row, length:] == -1).all()


@dataclass(frozen=True)
class Found:
    """Losses of every token `[rows, length]` and the gradients of their sum."""

    losses: Tensor
    gradients: dict[str, Tensor]


def attach(where: ResidentBase, name: str, knobs: dict[str, object]) -> Attached:
    """A method away from its start, in evaluation mode: what it adds is not zero, and draws nothing."""
    one = method(name)

    def labelled(size: int) -> Iterator[dict[str, Tensor]]:
        for rows in np.split(np.arange(len(TRAIN)), range(size, len(TRAIN), size)):
            yield {**TRAIN.batch(rows), "labels": TRAIN.targets(rows)}

    setup = TrainingSetup(3, labelled, TRAIN.criterion.mean_loss, labelled_scores)
    attached = one.attach(where.base, one.complete(where.base.description, knobs), 7, setup)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in attached.parameters().values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=draw))
    attached.set_training(False)
    return attached


def found(where: ResidentBase, name: str, knobs: dict[str, object], capacity: int) -> Found:
    attached = attach(where, name, knobs)
    try:
        outputs = in_sequences(WholePass(attached.model, TRAIN), capacity).outputs(ROWS)
        TRAIN.loss(outputs, ROWS, PACKED).backward()  # type: ignore[no-untyped-call]
        gradients = {key: one.grad.clone() for key, one in attached.parameters().items() if one.grad is not None}
        return Found(outputs[..., 0].detach(), gradients)
    finally:
        attached.detach()


def compare(left: Found, right: Found) -> None:
    assert torch.allclose(left.losses, right.losses, rtol=1e-4, atol=1e-5)
    assert left.gradients.keys() == right.gradients.keys()
    for name, gradient in left.gradients.items():
        size = float(gradient.norm())
        assert float((gradient - right.gradients[name]).norm()) <= 1e-4 * size + 1e-6, name


@pytest.mark.parametrize("kind", DECODERS)
def test_a_family_keeps_the_rows_of_a_sequence_apart(kind: str) -> None:
    where = resident(kind)
    knobs: dict[str, object] = {"rank": 2, "targets": "all"}
    compare(found(where, "lora", knobs, 0), found(where, "lora", knobs, CAPACITY))


@pytest.fixture(scope="module")
def llama() -> ResidentBase:
    return resident("llama")


@pytest.mark.parametrize("name", [name for name in SUITED if why_rows_apart(method(name)) is None])
def test_every_method_that_shares_sequences_computes_as_with_rows_apart(llama: ResidentBase, name: str) -> None:
    compare(found(llama, name, fitting(name), 0), found(llama, name, fitting(name), CAPACITY))


def test_what_looks_along_a_row_is_known_by_name() -> None:
    apart = {name for name, one in methods().items() if why_rows_apart(one) is not None and suits(name)}
    assert {"prefix_tuning", "lst", "unipt", "mola"} <= apart


def test_a_mask_or_a_cache_would_mix_rows_silently(llama: ResidentBase) -> None:
    """Why the pass gives neither: the model does not complain, and the numbers are others."""
    apart = WholePass(llama.base.model, TRAIN).outputs(ROWS)
    for more in ({"attention_mask": None}, {"use_cache": True}):
        wrapped = _Meddling(llama.base.model, more)
        with torch.no_grad():
            mixed = SequencePass(wrapped, TRAIN, CAPACITY).outputs(ROWS)  # type: ignore[arg-type]
        assert float((mixed - apart)[..., 0].abs().max()) > 1e-2


@dataclass
class _Meddling:
    """A model that is given a mask of ones, or a cache, whatever its caller says."""

    model: torch.nn.Module
    more: dict[str, object]

    def get_base_model(self) -> torch.nn.Module:
        return self.model

    def __call__(self, **batch: Tensor) -> object:
        ones = {"attention_mask": torch.ones_like(batch["input_ids"])}
        return self.model(**{**batch, **(ones if "attention_mask" in self.more else self.more)})


@pytest.mark.parametrize("kind", [*UNKNOWN, "bert"])
def test_a_class_that_may_mix_rows_is_refused_by_its_name(kind: str) -> None:
    with pytest.raises(InvalidInput, match=kind) as caught:
        check_packing(PACKED, tiny_description(kind))
    assert caught.value.field == "packing"
    check_packing(Hyperparameters(), tiny_description(kind))


def test_both_engines_train_sequences_as_rows_apart(llama: ResidentBase, tmp_path: object) -> None:
    store = PrefixStore(tmp_path / "prefixes", 1 << 28)  # type: ignore[operator]
    steps = list(StepPlan(TRAIN.lengths, 2, 2, 2.0, seed=5, sequence=CAPACITY).after(0))

    def losses(trainee: AttachedTrainee) -> list[float]:
        made = [trainee.train_step(TrainStep(number, step, 5e-3)) for number, step in enumerate(steps, start=1)]
        return [*made, trainee.evaluate()["loss"]]

    def run(sequence: int, fast: bool) -> list[float]:
        attached = method("lora").attach(
            llama.base, method("lora").complete(llama.base.description, {"rank": 2, "top_layers": 1}), 7, None
        )
        try:
            if not fast:
                return losses(reference_trainee(attached, TRAIN, VALIDATION, PACKED, sequence=sequence))
            with fast_trainee(llama, attached, TRAIN, VALIDATION, PACKED, store, sequence=sequence) as trainee:
                return losses(trainee)
        finally:
            attached.detach()

    apart = run(0, fast=False)
    assert run(CAPACITY, fast=False) == pytest.approx(apart, rel=1e-4)
    assert run(CAPACITY, fast=True) == pytest.approx(apart, rel=1e-4)


def test_a_plan_counts_sequences_and_keeps_them_whole() -> None:
    lengths = np.random.default_rng(0).integers(5, 60, 300)
    plan = StepPlan(lengths, 4, 1, 2.0, seed=4, sequence=64)
    for steps in (first := list(plan.after(0)))[: plan.steps_per_epoch], first[plan.steps_per_epoch :]:
        assert sorted(np.concatenate([rows for step in steps for rows in step]).tolist()) == list(range(300))
    for (rows,) in first:
        seating = seat(lengths[rows], np.zeros(len(rows), dtype=np.int64), 64)
        assert seating.tokens.shape[0] <= 4
    apart = StepPlan(lengths, 4, 1, 2.0, seed=4, sequence=64, apart=True)
    for (rows,), passes in zip(first, apart.after(0), strict=True):
        assert sorted(np.concatenate(passes).tolist()) == sorted(rows.tolist())
        assert all(lengths[one].max() * len(one) <= 1.1 * lengths[one].sum() for one in passes)
    filled = StepPlan(lengths, 4, 1, 1.0, seed=4, batch_tokens=256, sequence=64)
    assert max(sum(int(lengths[rows].sum()) for rows in step) for step in filled.after(0)) <= 256

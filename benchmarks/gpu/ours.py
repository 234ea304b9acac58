"""Our side: a trial alone, packs of it, and the frozen base by itself."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.cases import ALPHA, CLASSES, RANK, RATE, Case
from benchmarks.gpu.clock import Clock
from workers.data.tokens import Tokens
from workers.engines.batches import StepPlan
from workers.engines.course import Ending, Request, TrainStep
from workers.engines.fast import fast_trainee
from workers.engines.inputs import Inputs
from workers.engines.pack_member import Member
from workers.engines.packed import Aboard, pack_on
from workers.engines.precision import Precision
from workers.engines.prefix_store import PrefixStore
from workers.engines.ranks import OneProcess
from workers.engines.resident import ResidentBase
from workers.engines.stacked.capture import capture_on
from workers.engines.stacked.reading import read_updates
from workers.engines.stacked.room import Room
from workers.engines.stacked.stack import Stack
from workers.engines.stacked.way import STACKED, way_on
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached, TrainingSetup
from workers.methods.registry import method
from workers.models.heads import SEQUENCE
from workers.models.token_scores import token_scores
from workers.tasks.criterion import Criterion

BATCHES = 16  # different ones, over and over


@dataclass(frozen=True)
class Measured:
    """Milliseconds of a step, and the losses of the first steps of each member `[members, steps]`."""

    milliseconds: float
    losses: tuple[tuple[float, ...], ...]
    captured: str | None = None


def inputs(case: Case, device: torch.device) -> Inputs:
    """Rows of the case's length: random tokens, which have classes at random or go on with one another."""
    random, rows = np.random.default_rng(0), case.rows * BATCHES
    ids = random.integers(5, case.vocabulary, size=rows * case.tokens).astype(np.int32)
    offsets = np.arange(rows + 1) * case.tokens
    if case.kind is SEQUENCE:
        from workers.tasks.catalogue.text_classification import TASK

        targets = random.integers(0, CLASSES, rows).astype(np.int32)
    else:
        from workers.tasks.catalogue.causal_lm import TASK

        targets = np.roll(ids, -1)
        targets[offsets[1:] - 1] = -100
    criterion: Criterion = TASK.criterion(None, tuple(map(str, range(CLASSES))))
    return Inputs(Tokens(ids, None, offsets, targets), 0, criterion, device.type)


def attached(
    resident: ResidentBase, rows: Inputs, seed: int, name: str, own: Mapping[str, Any] | None = None
) -> Attached:
    """A member's adapter before its first step, with knobs of its own or the usual ones."""
    usual: Mapping[str, Any] = {"rank": RANK, "alpha": ALPHA, "targets": "qv"} if name == "lora" else {}
    knobs = method(name).complete(resident.base.description, usual if own is None else own)
    return method(name).attach(
        resident.base, knobs, seed, TrainingSetup(1000, lambda _: iter(()), rows.criterion.mean_loss)
    )


def hyperparameters(case: Case, seed: int) -> Hyperparameters:
    """Rates differ from member to member."""
    return Hyperparameters(learning_rate=RATE * (1 + 0.1 * seed), batch_size=case.rows)


def plan_of(case: Case, rows: Inputs, seed: int) -> StepPlan:
    """The batches of a trial, over and over."""
    return StepPlan(rows.lengths, case.rows, 1, 1e6, seed)


def steps(case: Case, rows: Inputs, seed: int) -> Iterator[TrainStep]:
    """Steps without end."""
    own = hyperparameters(case, seed)
    for number, batches in enumerate(plan_of(case, rows, seed).after(0), 1):
        yield TrainStep(number, batches, own.learning_rate)


def alone(case: Case, device: torch.device, half: bool, clock: Clock) -> Measured:
    """One trial on the fast engine."""
    resident, rows = case.resident(device, half), inputs(case, device)
    adapter = attached(resident, rows, 0, "lora")
    with (
        kept_nowhere() as store,
        fast_trainee(
            resident, adapter, rows, rows, hyperparameters(case, 0), store, "bf16" if half else "fp32"
        ) as trainee,
    ):
        feed, losses = steps(case, rows, 0), list[Any]()
        milliseconds = clock.milliseconds(lambda: losses.append(trainee.train_step(next(feed))))
    return Measured(milliseconds, (tuple(float(loss) for loss in losses),))


def pack(case: Case, device: torch.device, half: bool, members: int, clock: Clock, name: str = "lora") -> Measured:
    """`members` trials in one pass."""
    resident, rows = case.resident(device, half), inputs(case, device)
    stack, aboard = Stack(members, device), Aboard()
    logs: list[list[Any]] = []
    for seed in range(members):
        adapter = attached(resident, rows, seed, name)
        try:
            updates, factors = tuple(read_updates(adapter, resident.base)), adapter.rate_factors()
        finally:
            adapter.detach()
        log: list[Any] = []
        course = _endless(steps(case, rows, seed), log)
        state = torch.get_rng_state()
        aboard[Member(course, hyperparameters(case, seed), updates, state, factors, 0, stack, seed)] = None
        logs.append(log)
    way = way_on(device) if device.type == "cuda" else STACKED
    precision: Precision = "bf16" if half else "fp32"
    capture = capture_on(device, way.captured)
    with (
        kept_nowhere() as store,
        pack_on(resident, stack, 0, (rows, rows), store, precision, Room(), way, capture, OneProcess()) as together,
    ):
        milliseconds = clock.milliseconds(lambda: together.run(aboard, lambda: True))
    return Measured(milliseconds, tuple(tuple(float(loss) for loss in log) for log in logs), capture.reason)


def frozen(case: Case, device: torch.device, half: bool, members: int, clock: Clock) -> float:
    """Milliseconds of forward and backward pass of the frozen base with its head, on the tokens of so many members."""
    model = case.model(device, torch.bfloat16 if half else torch.float32).requires_grad_(False).eval()
    ids = torch.randint(5, case.vocabulary, (members * case.rows, case.tokens), device=device)
    entry = model.get_input_embeddings()(ids).detach().requires_grad_()
    every = torch.arange(ids.numel(), device=device)

    def step() -> None:
        if case.kind is SEQUENCE:
            loss = model(inputs_embeds=entry).logits.float().square().sum()
        else:
            loss = token_scores(model, {"inputs_embeds": entry}, ids, every).sum()
        loss.backward()
        entry.grad = None

    return clock.milliseconds(step)


def difference(one: Sequence[float], other: Sequence[float]) -> float:
    """Largest relative difference of losses, over the steps that both have."""
    return max(abs(a - b) / max(abs(b), 1e-6) for a, b in zip(one, other, strict=False))


def _endless(feed: Iterator[TrainStep], log: list[Any]) -> Generator[Request, Any, Ending]:
    for step in feed:
        trained = yield step
        log.append(trained.loss)
    return Ending("completed", 0.0, time.perf_counter())


@contextmanager
def kept_nowhere() -> Iterator[PrefixStore]:
    """Every layer has an adapter, so no hidden states are stored."""
    with TemporaryDirectory() as folder:
        yield PrefixStore(Path(folder), 0)

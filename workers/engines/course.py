"""The course of one trial: which step comes next, when to evaluate, report, pause and end.

The course is a generator. It asks for work (`TrainStep`, `Evaluate`, `Save`) and is sent the answer; what trains, one
trial alone or thirty in one pass, is the business of whoever drives it. So there is one training loop for all engines.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.assignment import Artifact, Decision, Report
from workers.checkpoints import Checkpoint
from workers.engines.batches import RowIndices, StepPlan
from workers.engines.schedule import learning_rate_at
from workers.engines.spike_guard import SpikeGuard
from workers.engines.stages import StagedPlan, Stages
from workers.hyperparameters import Hyperparameters

Status = Literal["completed", "stopped", "paused", "failed", "interrupted"]
INTERRUPTED = "its worker was asked to leave"
# Losses on a GPU that are fetched together: a trial that turns NaN goes on for so many steps at most.
_LOSSES_AT_ONCE = 16

OnReport = Callable[[Report], Decision]
KeepCheckpoint = Callable[[Checkpoint], Artifact]


@dataclass(frozen=True)
class TrainStep:
    """Do one optimizer step on the rows of `micro_batches` at this rate; answer with `Trained`."""

    number: int
    micro_batches: tuple[RowIndices, ...]
    learning_rate: float


@dataclass(frozen=True)
class Trained:
    """A step's mean loss over its targets, and the seconds that it took: of a pass that trials share, its part.

    A loss on a GPU stays there as a tensor `[]`: the course looks at several of them together, later.
    """

    loss: float | Tensor
    seconds: float


@dataclass(frozen=True)
class Evaluate:
    """Answer with the metrics of the validation rows by name."""


@dataclass(frozen=True)
class Save:
    """Answer with every tensor that continuing needs, by name."""


@dataclass(frozen=True)
class Restore:
    """Go back to what `Save` gave; the answer does not matter."""

    tensors: dict[str, Tensor]


Request = TrainStep | Evaluate | Save | Restore


class Trainee(Protocol):
    """What trains: answers the requests of a course."""

    def train_step(self, step: TrainStep) -> float | Tensor:
        """Do one optimizer step; the mean loss over its targets, on a GPU as a tensor `[]` that is still there."""

    def evaluate(self) -> dict[str, float]:
        """The metrics of the validation rows, `loss` among them."""

    def save(self) -> dict[str, Tensor]:
        """Every tensor that continuing needs."""

    def load(self, saved: dict[str, Tensor]) -> None:
        """Go on from what `save` gave."""


@dataclass(frozen=True)
class Ending:
    """How the course ended. `seconds` is training wall clock without evaluation, `epoch` the passes over the rows."""

    status: Status
    epoch: float
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    checkpoint: Artifact | None = None
    reason: str | None = None


class EndedEarly(Exception):
    """A part of a trial, such as a teacher's training, did not come to its end; how it ended instead."""

    def __init__(self, part: str, ending: Ending) -> None:
        super().__init__(f"{part}: {ending.reason}")
        self.ending = ending


Course = Generator[Request, Any, Ending]
Guard = SpikeGuard[dict[str, Tensor]] | None


class Assigned(Protocol):
    """What a course reads of an assignment; see `workers.assignment.Assignment`."""

    @property
    def trial_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def epochs(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def reports_per_epoch(self) -> int: ...
    @property
    def report_at(self) -> tuple[float, ...]: ...
    @property
    def keep_checkpoints(self) -> bool: ...
    @property
    def pause_every(self) -> float | None: ...


@dataclass(frozen=True)
class Training:
    """What a course needs to know besides the model: the trial, its rows' lengths and weights, and whom to tell.

    `interrupted`: whether it has to end before its next step, where another worker can go on. `in_order`: batches
    take the rows as they come, for data whose order means something. `untrained`: there is nothing to train, so it is
    measured and over. `together`: so many rows in turn share every batch. `sequence`: rows share sequences of so many
    tokens; 0: none do. `apart`: they would, but the method has to see each by itself. `times`: how
    often each row comes in an epoch; None: once. `stages`: rows come in several, one behind the other.
    """

    assignment: Assigned
    hyperparameters: Hyperparameters
    train_lengths: NDArray[np.int64]  # [rows] tokens
    train_weights: NDArray[np.float64]  # [rows] what each counts in a mean loss
    on_report: OnReport
    keep_checkpoint: KeepCheckpoint
    resume: Checkpoint | None = None
    in_order: bool = False
    untrained: bool = False
    together: int = 1
    sequence: int = 0
    apart: bool = False
    times: NDArray[np.float64] | None = None
    interrupted: Callable[[], bool] = lambda: False
    stages: Stages | None = None

    def plan(self) -> StepPlan:
        """The optimizer steps of the whole trial."""
        if self.stages is None:
            return self._plan(np.arange(len(self.train_lengths)))
        return StagedPlan([(rows, self._plan(rows)) for rows in self.stages.rows], self.assignment.epochs)

    def _plan(self, rows: NDArray[np.int64]) -> StepPlan:
        """The steps on some of the rows."""
        hp = self.hyperparameters
        return StepPlan(
            self.train_lengths[rows],
            hp.batch_size,
            hp.gradient_accumulation,
            self.assignment.epochs,
            self.assignment.seed,
            self.in_order,
            hp.batch_tokens,
            self.together,
            self.sequence,
            self.apart,
            None if self.times is None else self.times[rows],
        )


def course(trial: Training) -> Course:
    """Run `trial` to its end, its pause or its failure; see the module's description."""
    run = _Run.of(trial)
    if trial.untrained:
        run.metrics = yield Evaluate()
        return run.ending("completed")
    if trial.stages is not None and not run.behind:
        run.behind = [(yield Evaluate())]
    guard = run.guard
    for batches in run.plan.after(run.step):
        if trial.interrupted():
            return (yield from _leave(run))
        if guard is not None:
            guard.keep((yield Save()))
        trained: Trained = yield run.next_step(batches)
        undone = None if guard is None else guard.undo(float(trained.loss))
        if undone is not None:
            yield Restore(undone)
        run.add(trained, () if undone is not None else batches)
        due = run.step in run.report_steps
        if (failure := run.look_at_losses(due)) is not None:
            return run.ending("failed", failure)
        if due:
            early = yield from _report(run)
            if early is not None:
                return early
    if not run.metrics:  # resumed after its last step: only the numbers are missing
        run.metrics = run.compared((yield Evaluate()))
    if run.standing == 0:
        return run.ending("failed", f"diverged: the guard against spikes undid every update of {run.step} steps")
    return run.ending("completed")


def _leave(run: _Run) -> Generator[Request, Any, Ending]:
    """End between two steps, with a checkpoint if any step was done."""
    if (failure := run.look_at_losses(True)) is not None:
        return run.ending("failed", failure)
    further = run.step > run.began
    stored = run.trial.keep_checkpoint(run.checkpoint((yield Save()))) if further else None
    return run.ending("interrupted", INTERRUPTED, stored)


def _evaluated(guard: Guard) -> Generator[Request, Any, dict[str, float]]:
    """The metrics; under a guard, steps after which they are no numbers are undone first, as far as it remembers."""
    measured: dict[str, float] = yield Evaluate()
    while guard is not None and not math.isfinite(measured["loss"]) and (before := guard.back()) is not None:
        yield Restore(before)
        measured = yield Evaluate()
    return measured


def _report(run: _Run) -> Generator[Request, Any, Ending | None]:
    """Evaluate, report, and obey; an ending if the course is over before its last step."""
    measured = yield from _evaluated(run.guard)
    if not math.isfinite(measured["loss"]):
        return run.ending("failed", f"nan_loss: the validation loss was {measured['loss']} at step {run.step}")
    run.metrics = run.compared(measured) | {"train_loss": run.take_mean_loss()}
    pausing = run.step == run.pause_at and not run.done
    stored = None
    if pausing or run.trial.assignment.keep_checkpoints:
        stored = run.trial.keep_checkpoint(run.checkpoint((yield Save())))
    # Not where it pauses: a worker lost between report and outcome would skip the pause if it went on from there.
    decision = run.trial.on_report(run.report(None if pausing else stored))
    if run.done or (decision == "continue" and not pausing):
        return None
    if decision == "stop":
        return run.ending("stopped", "stopped by the scheduler", stored)
    return run.ending("paused", None, stored or run.trial.keep_checkpoint(run.checkpoint((yield Save()))))


def drive(course: Course, trainee: Trainee) -> Ending:
    """Let one trainee answer one course to its end."""
    answer: Any = None
    while True:
        try:
            request = course.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        match request:
            case TrainStep():
                started = time.perf_counter()
                loss = trainee.train_step(request)
                answer = Trained(loss, time.perf_counter() - started)
            case Evaluate():
                answer = trainee.evaluate()
            case Save():
                answer = trainee.save()
            case Restore():
                trainee.load(request.tensors)


@dataclass
class _Run:
    """A trial under way: steps and seconds done, the last metrics, and the losses since the last report."""

    trial: Training
    plan: StepPlan
    report_steps: frozenset[int]
    pause_at: int | None
    began: int = 0  # steps that an earlier attempt has done
    step: int = 0
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    guard: Guard = None
    behind: list[dict[str, float]] = field(default_factory=list)  # metrics before the first stage and behind each
    _loss_sum: float = 0.0
    _loss_weight: float = 0.0
    _unseen: list[tuple[int, float | Tensor, float]] = field(default_factory=list)  # step, its loss, its weight

    @classmethod
    def of(cls, trial: Training) -> _Run:
        plan, assignment, saved = trial.plan(), trial.assignment, trial.resume
        # By epoch, not by step: the batch size may have changed since (population-based training does that).
        step = 0 if saved is None else plan.step_at(saved.extras.get("epoch", plan.epoch_at(saved.step)))
        pause_at = None if assignment.pause_every is None else plan.next_multiple(assignment.pause_every, step)
        due = plan.report_steps(assignment.reports_per_epoch) | plan.first_steps(assignment.report_at)
        due |= set(plan.ends) if pause_at is None else {*plan.ends, pause_at}
        standing = 0 if saved is None else int(saved.extras.get("standing", saved.step))
        guard: Guard = SpikeGuard.of(trial.hyperparameters, standing)
        run = cls(trial, plan, frozenset(due), pause_at, step, step, guard=guard)
        if saved is not None:
            run.seconds = saved.seconds
            run.behind = list(saved.extras.get("behind_stages", ()))
            # The second name is that of versions in which every row weighed one.
            weight = "loss_weight" if "loss_weight" in saved.extras else "loss_rows"
            run._loss_sum, run._loss_weight = float(saved.extras["loss_sum"]), float(saved.extras[weight])
        return run

    @property
    def done(self) -> bool:
        return self.step >= self.plan.steps

    def next_step(self, batches: tuple[RowIndices, ...]) -> TrainStep:
        hp, number = self.trial.hyperparameters, self.step + 1
        tokens = float(self.trial.train_lengths.sum()) / self.plan.steps_per_epoch
        return TrainStep(number, batches, learning_rate_at(*self.plan.within(number), hp, tokens))

    def compared(self, measured: dict[str, float]) -> dict[str, float]:
        """Metrics of now, and where the training has stages those that compare them with the ones behind these."""
        stages = self.trial.stages
        if stages is None:
            return measured
        now = [*self.behind[: len(stages.rows)], measured]
        if self.step in self.plan.ends:
            self.behind = now
        return measured | stages.compare(now)

    @property
    def standing(self) -> int:
        """Updates so far that no guard has undone."""
        return self.step if self.guard is None else self.guard.standing

    def add(self, trained: Trained, batches: tuple[RowIndices, ...]) -> None:
        """Take in a step; one that was undone comes without batches and counts in no mean."""
        weight = sum(float(self.trial.train_weights[rows].sum()) for rows in batches)
        self.step += 1
        self.seconds += trained.seconds
        if batches:
            self._unseen.append((self.step, trained.loss, weight))

    def look_at_losses(self, now: bool) -> str | None:
        """Take in the losses of steps done, and why the trial cannot go on; then `step` is that of the first bad loss.

        Those on a GPU are fetched several together, or `now`: each time the GPU has to be waited for.
        """
        away = any(isinstance(loss, Tensor) and loss.device.type != "cpu" for _, loss, _ in self._unseen)
        if away and not now and len(self._unseen) < _LOSSES_AT_ONCE:
            return None
        started = time.perf_counter()
        fetched = torch.stack([torch.as_tensor(loss) for _, loss, _ in self._unseen]).tolist() if away else None
        self.seconds += time.perf_counter() - started if away else 0.0
        steps, self._unseen = self._unseen, []
        for number, (step, loss, weight) in enumerate(steps):
            value = float(loss) if fetched is None else fetched[number]
            if not math.isfinite(value):
                self.step = step
                return f"nan_loss: the training loss was {value} at step {step}"
            self._loss_sum += value * weight
            self._loss_weight += weight
        return None

    def take_mean_loss(self) -> float:
        mean = self._loss_sum / (self._loss_weight or 1.0)
        self._loss_sum = self._loss_weight = 0.0
        return mean

    def checkpoint(self, tensors: dict[str, Tensor]) -> Checkpoint:
        losses = {"loss_sum": self._loss_sum, "loss_weight": self._loss_weight}
        done: dict[str, Any] = {"epoch": self.plan.epoch_at(self.step), "standing": self.standing}
        done |= {"behind_stages": self.behind} if self.behind else {}
        return Checkpoint(self.step, self.seconds, tensors, losses | done)

    def report(self, stored: Artifact | None) -> Report:
        assignment = self.trial.assignment
        return Report(
            trial_id=assignment.trial_id,
            attempt=assignment.attempt,
            step=self.step,
            epoch=self.plan.epoch_at(self.step),
            metrics=self.metrics,
            seconds=self.seconds,
            checkpoint=stored,
        )

    def ending(self, status: Status, reason: str | None = None, stored: Artifact | None = None) -> Ending:
        return Ending(status, self.plan.epoch_at(self.step), self.seconds, self.metrics, stored, reason)

"""The course of a trial, driven by a trainee whose numbers are planned: order, reports, decisions, ends."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from workers.assignment import Artifact, Assignment, Decision, Report
from workers.checkpoints import Checkpoint
from workers.engines.course import Ending, Training, TrainStep, course, drive
from workers.hyperparameters import Hyperparameters
from workers.tasks.catalogue.text_classification import TextClassificationSpec

WEIGHTS = np.ones(20)
KEPT = Artifact(sha256="0" * 64, size=1)


class Script:
    """A trainee whose loss at step k is `losses(k)`."""

    def __init__(self, losses=lambda step: 1.0 / step) -> None:
        self.steps: list[TrainStep] = []
        self._losses = losses

    def train_step(self, step: TrainStep) -> float:
        self.steps.append(step)
        return self._losses(step.number)

    def evaluate(self) -> dict[str, float]:
        return {"accuracy": 1.0, "loss": 0.3}

    def save(self) -> dict[str, torch.Tensor]:
        return {"steps": torch.tensor(len(self.steps))}


def run(
    script: Script,
    decide=lambda _report: "continue",
    resume: Checkpoint | None = None,
    interrupted=lambda: False,
    **changes,
):
    reports: list[Report] = []
    kept: list[Checkpoint] = []

    def on_report(report: Report) -> Decision:
        reports.append(report)
        return decide(report)

    def keep(checkpoint: Checkpoint) -> Artifact:
        kept.append(checkpoint)
        return KEPT

    size, weights = changes.pop("batch_size", 4), changes.pop("weights", WEIGHTS)
    fields = {"config": {"method": "head"}, "epochs": 3, "seed": 0} | changes
    task = TextClassificationSpec(model="builtin:minilm", train="builtin:pydocs")
    assignment = Assignment(trial_id="t", attempt=1, task=task, **fields)
    hyperparameters = Hyperparameters(batch_size=size, learning_rate=0.1)
    lengths = np.full(20, 5)
    trial = Training(assignment, hyperparameters, lengths, weights, on_report, keep, resume, interrupted=interrupted)
    ending: Ending = drive(course(trial), script)
    return ending, reports, kept


def test_a_trial_takes_every_step_and_reports_each_epoch() -> None:
    script = Script()
    ending, reports, kept = run(script)
    assert [step.number for step in script.steps] == list(range(1, 16))
    assert [(report.step, report.epoch) for report in reports] == [(5, 1.0), (10, 2.0), (15, 3.0)]
    assert reports[0].metrics["train_loss"] == pytest.approx(sum(1 / k for k in range(1, 6)) / 5)
    assert (ending.status, ending.epoch, kept) == ("completed", 3.0, [])
    assert ending.metrics["accuracy"] == 1.0
    assert script.steps[0].learning_rate == 0 < script.steps[1].learning_rate  # warm-up


def test_the_mean_training_loss_counts_each_step_by_its_targets() -> None:
    script, weights = Script(), np.arange(20.0)
    _, reports, _ = run(script, weights=weights)
    counts = [sum(weights[rows].sum() for rows in step.micro_batches) for step in script.steps[:5]]
    expected = sum(count / step for step, count in enumerate(counts, start=1)) / weights.sum()
    assert reports[0].metrics["train_loss"] == pytest.approx(expected)


def test_a_checkpoint_of_a_version_that_counted_rows_goes_on() -> None:
    _, _, kept = run(Script(), pause_every=1.4)
    old = replace(kept[0], extras={"loss_sum": 8.0, "loss_rows": 8, "epoch": 1.4})
    ending, reports, _ = run(Script(lambda _: 1.0), resume=old)
    assert (ending.status, reports[0].metrics["train_loss"]) == ("completed", 1.0)


@pytest.mark.parametrize(("decision", "status"), [("stop", "stopped"), ("pause", "paused")])
def test_a_decision_holds_at_its_report(decision: str, status: str) -> None:
    script = Script()
    ending, reports, kept = run(script, decide=lambda report: decision if report.step == 10 else "continue")
    assert (ending.status, ending.epoch, len(reports), len(script.steps)) == (status, 2.0, 2, 10)
    assert (ending.checkpoint == KEPT) == (len(kept) == 1) == (status == "paused")


def test_a_rung_pauses_with_a_checkpoint_that_continues_to_the_same_end() -> None:
    first = Script()
    ending, reports, kept = run(first, pause_every=1.4, reports_per_epoch=2)
    assert (ending.status, ending.epoch, ending.checkpoint) == ("paused", 1.4, KEPT)
    assert reports[-1].checkpoint is None  # so that a worker lost before its outcome comes to the rung again
    second, whole = Script(), Script()
    end, _, _ = run(second, resume=kept[0])
    run(whole)
    assert end.status == "completed"
    together = [*first.steps, *second.steps]
    assert [s.learning_rate for s in together] == [s.learning_rate for s in whole.steps]
    for mine, theirs in zip(together, whole.steps, strict=True):
        assert np.array_equal(mine.micro_batches[0], theirs.micro_batches[0])


def test_an_interrupted_trial_ends_behind_its_step_and_goes_on_to_the_same_end() -> None:
    first, second, whole = Script(), Script(), Script()
    ending, reports, kept = run(first, interrupted=lambda: len(first.steps) == 7)
    assert (ending.status, ending.epoch, ending.checkpoint, len(reports)) == ("interrupted", 1.4, KEPT, 1)
    end, rest, _ = run(second, resume=kept[0])
    _, all_reports, _ = run(whole)
    assert end.status == "completed"
    assert [step.number for step in (*first.steps, *second.steps)] == [step.number for step in whole.steps]
    losses = [report.metrics["train_loss"] for report in all_reports]
    assert [report.metrics["train_loss"] for report in (*reports, *rest)] == pytest.approx(losses)


def test_who_is_interrupted_before_a_step_of_its_own_writes_nothing() -> None:
    _, _, kept = run(Script(), pause_every=1.4)
    for resume in (None, kept[0]):
        ending, reports, again = run(Script(), resume=resume, interrupted=lambda: True)
        assert (ending.status, ending.checkpoint, reports, again) == ("interrupted", None, [], [])


def test_an_interrupted_trial_that_has_diverged_fails() -> None:
    script = Script(lambda _: torch.tensor(math.nan))
    ending, _, kept = run(script, interrupted=lambda: len(script.steps) == 2)
    assert (ending.status, kept) == ("failed", [])


def test_it_pauses_at_every_multiple_and_a_changed_batch_size_goes_on_at_the_same_epoch() -> None:
    ends, resume = [], None
    for size in (4, 4, 2, 4, 4, 4):
        ending, _, kept = run(Script(), resume=resume, pause_every=0.5, batch_size=size)
        ends.append((ending.status, ending.epoch))
        resume = kept[-1] if kept else None
    # Five steps an epoch, or ten: halves are rounded to whole steps.
    assert ends == [("paused", at) for at in (0.4, 1.0, 1.5, 2.0, 2.4)] + [("completed", 3.0)]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_trial_fails_with_its_reason_and_last_metrics(bad: float) -> None:
    ending, reports, _ = run(Script(lambda step: bad if step == 7 else 1.0))
    assert ending.status == "failed"
    assert ending.reason is not None
    assert ending.reason.startswith("nan_loss:")
    assert "step 7" in ending.reason
    assert len(reports) == 1
    assert ending.metrics == reports[0].metrics


def test_checkpoints_are_kept_with_every_report_when_asked() -> None:
    _, reports, kept = run(Script(), keep_checkpoints=True)
    assert [checkpoint.step for checkpoint in kept] == [5, 10, 15]
    assert all(report.checkpoint == KEPT for report in reports)


def test_resuming_after_the_last_step_only_evaluates() -> None:
    _, _, kept = run(Script(), keep_checkpoints=True)
    script = Script()
    ending, reports, _ = run(script, resume=kept[-1])
    assert (ending.status, ending.metrics["accuracy"], script.steps, reports) == ("completed", 1.0, [], [])

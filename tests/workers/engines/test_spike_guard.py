"""A guarded training undoes what a bad batch or a rate too high did; an unguarded one does not."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from workers.assignment import Artifact, Assignment
from workers.checkpoints import Checkpoint
from workers.engines.course import Ending, Training, TrainStep, course, drive
from workers.engines.spike_guard import SpikeGuard
from workers.hyperparameters import Hyperparameters
from workers.models.description import describe
from workers.running.packing import why_not_packed
from workers.tasks.catalogue.text_classification import TextClassificationSpec


class Slope:
    """One number on its way to 0, whose loss is its square; some steps throw it far, some batches are noise."""

    def __init__(self, thrown: Mapping[int, float], noise: frozenset[int] = frozenset()) -> None:
        self.place, self._thrown, self._noise = 1.0, thrown, noise

    def train_step(self, step: TrainStep) -> float:
        loss = 50.0 if step.number in self._noise else self.place**2 + 0.01 * (step.number % 3)
        self.place = self._thrown.get(step.number, 0.97 * self.place)
        return loss

    def evaluate(self) -> dict[str, float]:
        return {"accuracy": 1.0, "loss": self.place**2}

    def save(self) -> dict[str, torch.Tensor]:
        return {"place": torch.tensor(self.place)}

    def load(self, saved: Mapping[str, torch.Tensor]) -> None:
        self.place = float(saved["place"])


def run(
    slope: Slope,
    score: float,
    reports: int = 1,
    pause_every: float | None = None,
    kept: list[Checkpoint] | None = None,
    resume: Checkpoint | None = None,
) -> Ending:
    task = TextClassificationSpec(model="builtin:minilm", train="builtin:pydocs")
    config = {"method": "lora", "spike_score": score}
    fields = {"config": config, "epochs": 10, "seed": 0, "reports_per_epoch": reports, "pause_every": pause_every}
    assignment = Assignment.model_validate({"trial_id": "t", "attempt": 1, "task": task, **fields})
    chosen = Hyperparameters(batch_size=4, spike_score=score)
    checkpoints: list[Checkpoint] = [] if kept is None else kept

    def keep(one: Checkpoint) -> Artifact:
        checkpoints.append(one)
        return Artifact(sha256="0" * 64, size=1)

    trial = Training(assignment, chosen, np.full(20, 5), np.ones(20), lambda _: "continue", keep, resume)
    return drive(course(trial), slope)


@pytest.mark.parametrize(
    ("thrown", "noise"),
    [({30: 40.0}, frozenset({30})), ({30: 40.0}, frozenset()), ({32: math.nan}, frozenset())],
    ids=["a batch of noise", "a step too far", "no number"],
)
def test_what_spikes_is_undone(thrown: dict[int, float], noise: frozenset[int]) -> None:
    plain, guarded = run(Slope(thrown, noise), 0.0), run(Slope(thrown, noise), 5.0)
    assert guarded.status == "completed"
    assert guarded.metrics["loss"] < 0.1
    assert plain.status == "failed" or plain.metrics["loss"] > 10


@pytest.mark.parametrize("step", [5, 25, 50], ids=["the first report", "a report", "the last step"])
def test_an_update_that_leaves_no_numbers_right_before_a_report_is_undone(step: int) -> None:
    """Its own loss was measured before it, so the evaluation is the first to see what it did."""
    plain, guarded = run(Slope({step: math.nan}), 0.0), run(Slope({step: math.nan}), 5.0)
    assert plain.status == "failed"
    assert guarded.status == "completed"
    assert guarded.metrics["loss"] < 0.1


def test_a_model_that_is_no_number_from_its_start_fails_under_the_guard_too() -> None:
    slope = Slope({})
    slope.place = math.nan
    ending = run(slope, 5.0)
    assert (ending.status, str(ending.reason).partition(":")[0]) == ("failed", "nan_loss")


class Exploding(Slope):
    """Its loss is a number before an update and none behind any."""

    def __init__(self, sound: int = 0) -> None:
        super().__init__(dict.fromkeys(range(sound + 1, 1000), math.nan))


@pytest.mark.parametrize("reports", [0, 1])
def test_a_trial_of_which_no_update_stands_has_diverged(reports: int) -> None:
    """It had ended as completed, with the numbers of the untrained model."""
    ending = run(Exploding(), 5.0, reports=reports)
    assert ending.status == "failed"
    assert str(ending.reason) == "diverged: the guard against spikes undid every update of 50 steps"
    assert run(Exploding(sound=12), 5.0, reports=reports).status == "completed"


def test_what_an_earlier_stretch_has_learnt_still_stands() -> None:
    """A trial that goes on from its checkpoint and explodes from there on keeps what it had."""
    kept: list[Checkpoint] = []
    sound = run(Slope({}), 5.0, pause_every=5.0, kept=kept)
    assert (sound.status, kept[0].extras["standing"]) == ("paused", 25)
    assert run(Exploding(), 5.0, resume=kept[0]).status == "completed"
    begun: list[Checkpoint] = []
    assert run(Exploding(), 5.0, pause_every=5.0, kept=begun).status == "paused"
    assert run(Exploding(), 5.0, resume=begun[0]).status == "failed"


def test_nothing_changes_where_nothing_spikes() -> None:
    assert run(Slope({}), 5.0).metrics == run(Slope({}), 0.0).metrics


def test_a_loss_that_stays_high_is_a_level_and_not_a_spike() -> None:
    guard: SpikeGuard[int] = SpikeGuard(5.0, 20, 2)
    undone = []
    for step, loss in enumerate([*([1.0, 1.1] * 6), *([9.0] * 6)]):
        guard.keep(step)
        undone.append(guard.undo(loss))
    assert undone[:12] == [None] * 12
    assert undone[12:] == [12, 11, None, None, None, None]  # the step, the one before, and then it stands
    assert guard.skipped == 2


def test_guarded_trials_train_outside_packs() -> None:
    task = TextClassificationSpec(model="builtin:minilm", train="builtin:pydocs")
    config = {"method": "lora", "spike_score": 5.0}
    one = Assignment(trial_id="t", attempt=1, task=task, config=config, epochs=1, seed=0)
    assert "spikes" in str(why_not_packed(one, describe("builtin:minilm")))

"""What schedulers save in jobs whose trials really train, on Ray: decisions take effect at the report they follow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizers.schedulers.halving import rungs
from service.conductor.__main__ import ray_scratch
from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.conductor.training.ray_executor import RayExecutor
from service.jobs.search.spec import JobSpec
from service.store.records import Trial
from service.store.store import Store, open_store
from tests.service.conductor.driving import drive
from tests.service.tiny_task import tiny_job
from tests.short_form import short_form

pytestmark = [pytest.mark.slow, pytest.mark.ray]

TRIALS, EPOCHS, ROWS, BATCH = 14, 2, 96, 16
STEPS = ROWS // BATCH  # in an epoch


@pytest.fixture(scope="module")
def conductor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conductor]:
    home = tmp_path_factory.mktemp("home")
    executor, proposer = RayExecutor(None, ray_scratch(home), home, str(home / "artifacts")), Proposer()
    store = open_store(f"sqlite:///{home}/jobs.db")
    yield Conductor(store, executor, proposer, owner="test")
    proposer.close()
    executor.close()
    store.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("task")


def trials_of(conductor: Conductor, folder: Path, scheduler: dict[str, Any], **changes: Any) -> list[Trial]:
    """The trials of a finished job, the reference trial among them."""
    given = tiny_job(
        folder,
        TRIALS,
        ROWS,
        scheduler=scheduler,
        objectives=[{"metric": "loss", "direction": "minimize"}],
        space={"preset": "lora", "overrides": {"batch_size": {"value": BATCH}}},
        budget={"trials": TRIALS, "epochs": EPOCHS},
        **changes,
    )
    spec = JobSpec.model_validate(given)
    job = conductor.store.create_job(spec.name, spec.model_dump(mode="json"))
    assert drive(conductor, job.id).state == "completed"
    return list(conductor.store.searched_trials(job.id))


def last_epoch(store: Store, trial: Trial) -> float:
    return max(report.epoch for report in store.reports(trial.id))


def steps_at(levels: tuple[float, ...]) -> set[int]:
    """The first step at or beyond each."""
    return {next(step for step in range(1, EPOCHS * STEPS + 1) if step / STEPS >= level) for level in levels}


@pytest.mark.parametrize(
    ("scheduler", "levels", "share", "pack"),
    [
        ({"name": "asha"}, rungs(None, 3, EPOCHS), 0.7, 1),  # the first rung lies within the first epoch
        pytest.param(
            {"name": "asha", "options": {"reduction": 2, "grace": 0.1}},
            rungs(0.1, 2, EPOCHS),
            0.6,
            1,
            marks=pytest.mark.long,
        ),
        ({"name": "asha"}, rungs(None, 3, EPOCHS), 0.8, 4),
        ({"name": "hyperband"}, rungs(None, 3, EPOCHS), 0.9, 1),
        ({"name": "median"}, (0.5, 1.0), 0.8, 1),
    ],
    ids=["asha", "asha with a grace below an epoch", "asha in packs", "hyperband", "median"],
)
def test_a_trial_ends_at_the_report_that_condemns_it(
    conductor: Conductor, folder: Path, scheduler: dict[str, Any], levels: tuple[float, ...], share: float, pack: int
) -> None:
    reference, *trials = trials_of(conductor, folder, scheduler, resources={"pack": pack})
    assert (reference.origin, reference.state) == ("reference", "completed")
    assert {trial.state for trial in trials} == {"completed", "stopped"}
    looked = steps_at(levels)
    for trial in (reference, *trials):
        steps = [report.step for report in conductor.store.reports(trial.id)]
        assert steps[-1] in (looked if trial.state == "stopped" else {EPOCHS * STEPS})
        assert set(steps) == {step for step in looked | {STEPS, EPOCHS * STEPS} if step <= steps[-1]}
    spent = sum(last_epoch(conductor.store, trial) for trial in trials)
    assert spent <= share * EPOCHS * len(trials)


def test_freeze_thaw_ends_what_promises_nothing_before_its_budget_is_spent(conductor: Conductor, folder: Path) -> None:
    scheduler = {"name": "freeze-thaw", "options": {"interval": 0.5}}
    _, *trials = trials_of(conductor, folder, scheduler, seed=6)
    stopped = [trial for trial in trials if trial.state == "stopped"]
    assert stopped
    assert all(last_epoch(conductor.store, trial) < EPOCHS for trial in stopped)
    assert sum(last_epoch(conductor.store, trial) for trial in trials) < 0.9 * EPOCHS * len(trials)


@pytest.mark.parametrize("name", short_form(["pbt", "pb2"], ["pbt"]))
def test_the_worst_of_a_population_go_on_where_the_best_had_come_to(
    conductor: Conductor, folder: Path, name: str
) -> None:
    _, *trials = trials_of(conductor, folder, {"name": name, "options": {"interval": 0.5}})
    assert {trial.state for trial in trials} == {"completed"}
    losses = {
        trial.id: {report.epoch: report.metrics["loss"] for report in conductor.store.reports(trial.id)}
        for trial in trials
    }
    exploits = conductor.store.job_exploits(trials[0].job_id)
    assert len({one.epoch for one in exploits}) == 3  # after each of four slices but the last
    gaps = []
    for one in exploits:
        own, donor = losses[one.trial_id], losses[one.donor_id][one.epoch]
        assert own[one.epoch] > donor
        gaps.append((abs(own[one.epoch + 0.5] - donor), own[one.epoch] - donor))
    assert np.median([after for after, _ in gaps]) < np.median([before for _, before in gaps])

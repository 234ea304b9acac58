"""Schedulers that pause trials, in the conductor: generations, lineage, crashes. Trials are computed, not trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from optimizers.schedulers.contract import Point
from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.conductor.takeover import take_over
from service.conductor.training.executor import Message
from service.jobs.assignments import assignment_of
from service.jobs.search.problem import build_problem
from service.jobs.search.scheduling import moves
from service.jobs.search.spec import JobSpec
from service.store.records import Job
from service.store.store import Store, open_store
from tests.patience import wait_until
from tests.service.conductor.computing_executor import ComputingExecutor, accuracy
from workers.assignment import Artifact, Assignment, Outcome, Report

SPEC: dict[str, Any] = {
    "name": "generations",
    "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
    "space": {"preset": "lora"},
    "objectives": [{"metric": "accuracy", "direction": "maximize"}],
    "optimizer": {"name": "sobol"},
    "budget": {"trials": 8, "epochs": 4},
    "reference_trials": False,
    "seed": 3,
}


@dataclass
class Slices:
    """Trains by arithmetic: what a checkpoint holds is the epoch and the accuracy gathered, written into its name."""

    seen: list[Assignment] = field(default_factory=list)

    def __call__(self, assignment: Assignment) -> list[Message]:
        self.seen.append(assignment)
        given = {"trial_id": assignment.trial_id, "attempt": assignment.attempt}
        epoch, gathered = 0.0, 0.0
        if assignment.checkpoint is not None:
            epoch, gathered = map(float, assignment.checkpoint.sha256.split(":"))
        until = min(assignment.epochs, epoch + (assignment.pause_every or assignment.epochs))
        gathered += accuracy(assignment.config) * (until - epoch)
        metrics = {"accuracy": round(gathered / until, 9)}
        over = until >= assignment.epochs
        kept = None if over else Artifact(sha256=f"{until}:{gathered:.9f}", size=1)
        reached = Report(**given, step=int(until * 10), epoch=until, seconds=until, metrics=metrics)
        status = "completed" if over else "paused"
        return [reached, Outcome(**given, status=status, metrics=metrics, checkpoint=kept)]


@pytest.fixture(scope="module")
def proposer() -> Iterator[Proposer]:
    started = Proposer()
    yield started
    started.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/jobs.db")
    yield opened
    opened.close()


def submit(store: Store, name: str, **changes: Any) -> Job:
    spec = JobSpec.model_validate({**SPEC, "scheduler": {"name": name}, **changes})
    return store.create_job(spec.name, spec.model_dump(mode="json"))


def drive(conductor: Conductor, until: Callable[[], bool]) -> None:
    wait_until(until, "the conductor gets there", every=0.002, meanwhile=lambda: conductor.tick(wait=0))


def over(store: Store, job: Job) -> Callable[[], bool]:
    return lambda: store.get_job(job.id).state in ("completed", "failed")


def replayed(store: Store, job: Job) -> set[tuple[Any, ...]]:
    """Every generation decided once more, from the reports and the lineage as they are stored."""
    spec, exploits = JobSpec.model_validate(job.spec), store.job_exploits(job.id)
    trials, problem, again = store.searched_trials(job.id), build_problem(spec), set()
    for epoch in sorted({report.epoch for report in store.job_reports(job.id)})[:-1]:
        points, then = {}, []
        for trial in trials:
            reached = {report.epoch: report.metrics for report in store.reports(trial.id) if report.epoch <= epoch}
            points[trial.id] = [Point(at, metrics) for at, metrics in sorted(reached.items())]
            config = next((e.previous for e in exploits if e.trial_id == trial.id and e.epoch >= epoch), trial.config)
            then.append(replace(trial, state="paused", config=config, checkpoint="c"))
        for trial_id, found in moves(spec, problem, then, points, (), 2, False).resume.items():
            if found is not None:
                again.add((epoch, trial_id, found.donor, str(found.config)))
    return again


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["ray", "external"])
def test_a_population_trains_in_generations_and_keeps_its_lineage(
    store: Store, proposer: Proposer, executor: str
) -> None:
    job = submit(store, "pbt", resources={"executor": executor})
    slices = Slices()
    conductor = Conductor(store, ComputingExecutor(3, slices), proposer, "home.a")
    finished = over(store, job)

    def step() -> bool:
        if executor == "external" and (trial := store.claim_trial(job.id, "outside", 60)) is not None:
            for message in slices(assignment_of(JobSpec.model_validate(job.spec), trial)):
                if isinstance(message, Report):
                    store.add_report(message)
                elif isinstance(message, Outcome):
                    store.finish_trial(message)
        return finished()

    drive(conductor, step)
    trials = store.searched_trials(job.id)
    assert {trial.state for trial in trials} == {"completed"}
    epochs = [round(report.epoch, 6) for trial in trials for report in store.reports(trial.id)]
    assert sorted(epochs) == sorted([0.5 * n for n in range(1, 9)] * 8)  # the same steps as without a scheduler
    exploits = store.job_exploits(job.id)
    assert 7 < len(exploits) <= 7 * 2  # a quarter of eight in each generation but the last, equals excepted
    donors = {one.donor_id for one in exploits}
    assert donors
    for one in exploits:
        copied = next(seen for seen in slices.seen if (seen.trial_id, seen.attempt) == (one.trial_id, one.attempt))
        assert copied.checkpoint is not None
        assert (copied.checkpoint.sha256, copied.config, copied.seed) == (one.checkpoint, one.config, one.seed)
        lent = [report for report in store.reports(one.donor_id) if report.attempt == one.donor_attempt]
        assert (lent[-1].step, lent[-1].epoch) == (one.step, one.epoch)


def test_a_kill_at_any_moment_loses_nothing_and_the_lineage_can_be_replayed(store: Store, proposer: Proposer) -> None:
    job = submit(store, "pbt")

    def run_until_killed(n: int) -> None:
        ticks = iter(range(5 + 7 * n % 40))
        conductor = Conductor(store, ComputingExecutor(2, Slices()), proposer, f"home.{n}")
        drive(conductor, lambda: next(ticks, None) is None or over(store, job)())
        take_over(store, "home.")  # the conductor is gone without a word

    for n in range(200):
        if over(store, job)():
            break
        run_until_killed(n)
    trials = store.searched_trials(job.id)
    assert {trial.state for trial in trials} == {"completed"}
    for trial in trials:
        assert {round(report.epoch, 6) for report in store.reports(trial.id)} == {0.5 * n for n in range(1, 9)}
    kept = {(one.epoch, one.trial_id, one.donor_id, str(one.config)) for one in store.job_exploits(job.id)}
    assert len(kept) > 7
    assert replayed(store, job) == kept


def test_what_an_outside_worker_pauses_goes_on_by_itself_under_other_schedulers(
    store: Store, proposer: Proposer
) -> None:
    job = submit(store, "none", resources={"executor": "external"}, budget={"trials": 1, "epochs": 2})
    conductor = Conductor(store, ComputingExecutor(), proposer, "home.a")
    drive(conductor, lambda: store.counts(job.id)["queued"] == 1)
    trial = store.claim_trial(job.id, "w", 60)
    assert trial is not None
    store.finish_trial(Outcome(trial_id=trial.id, attempt=1, status="paused"))
    drive(conductor, lambda: store.counts(job.id)["queued"] == 1)
    assert store.get_trial(trial.id).attempt == 2

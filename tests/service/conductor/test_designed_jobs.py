"""Jobs that follow a plan, from their first trial to their answer: a real store and proposer, computed losses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.conductor.takeover import take_over
from service.conductor.training.executor import Message
from service.jobs.kinds import designed_spec
from service.store.records import Answer, Job, Trial
from service.store.store import Store, open_store
from tests.service.conductor.computing_executor import ComputingExecutor
from tests.service.conductor.driving import drive
from workers.assignment import Artifact, Assignment, Outcome
from workers.proxies.spec import ProxyAssignment

DOMAINS = ("web", "code", "books")
BEST = {"web": 0.6, "code": 0.25, "books": 0.15}
MIXTURE: dict[str, Any] = {
    "name": "text",
    "kind": "mixture",
    "corpus": {"domains": {name: f"/nowhere/{name}" for name in DOMAINS}},
    "proxy": {"tokens": 10_000},
    "prior": {"web": 0.5, "code": 0.3, "books": 0.2},
    "bytes": {"web": 500_000, "code": 300_000, "books": 200_000},
    "budget": {"trials": 20, "held_out": 5},
    "seed": 4,
}
LAW: dict[str, Any] = {
    "name": "adapters",
    "kind": "law",
    "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
    "fixed": {"targets": "qv"},
    "design": {"train_rows": [200, 800], "knobs": {"rank": [2, 8]}},
    "seed": 2,
}


def proxy_outcome(given: ProxyAssignment) -> Outcome:
    """The nearer a mixture is to the best one, the lower its losses; each seed shifts all alike."""
    away = sum((given.weights.get(name, 0.0) - share) ** 2 for name, share in BEST.items())
    loss = 3 + away + 0.001 * (given.seed % 7)
    losses = {f"loss.{name}": loss for name in DOMAINS}
    metrics = {"loss": loss, "test_loss": loss + 0.1, **losses}
    if given.role == "soup":
        metrics |= {"best_member_loss": loss, "best_member_test_loss": loss, "members": float(len(given.parts))}
    kept = Artifact(sha256=f"{given.trial_id:0>64}", size=1) if given.keep_model or given.role == "filter" else None
    return Outcome(trial_id=given.trial_id, attempt=given.attempt, status="completed", metrics=metrics, adapter=kept)


def training_outcome(given: Assignment) -> Outcome:
    """A law in the rank and the rows, with its curvature."""
    rank, rows = given.config["rank"], given.task.train_rows
    assert rows is not None
    best = math.log(3e-3) + 0.2 * math.log(rank / 4) - 0.1 * math.log(rows / 400)
    rate, batch = math.log(given.config["learning_rate"]) - best, math.log(given.config["batch_size"] / 14)
    loss = 0.5 * math.exp(0.02 * rate**2 + 0.01 * batch**2)
    metrics = {"loss": loss, "trainable_params": 3072.0 * rank, "train_tokens": 20.0 * rows}
    return Outcome(trial_id=given.trial_id, attempt=given.attempt, status="completed", metrics=metrics)


def computed(given: Any) -> list[Message]:
    return [proxy_outcome(given) if isinstance(given, ProxyAssignment) else training_outcome(given)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/jobs.db")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def proposer() -> Iterator[Proposer]:
    started = Proposer()
    yield started
    started.close()


def admitted(spec: dict[str, Any]) -> dict[str, Any]:
    """As admission stores it: defaults filled in."""
    designed = designed_spec(spec)
    assert designed is not None
    return designed.model_dump(mode="json")


def ended(store: Store, proposer: Proposer, spec: dict[str, Any]) -> tuple[Job, tuple[Trial, ...], Answer | None]:
    """The job, its trials and its answer once it is over."""
    executor = ComputingExecutor(slots=4, script=computed)
    job = drive(Conductor(store, executor, proposer, "home.a"), store.create_job(spec["name"], admitted(spec)).id)
    return job, store.searched_trials(job.id), store.job_answer(job.id)


@pytest.mark.slow
def test_a_mixture_is_recommended_and_checked(store: Store, proposer: Proposer) -> None:
    job, trials, answer = ended(store, proposer, MIXTURE)
    assert (job.state, job.reason) == ("completed", None)
    assert [trial.label for trial in trials[:25]] == [None] * 20 + ["held-out"] * 5
    assert sorted(trial.label or "" for trial in trials[25:]) == sorted(["recommended", "uniform", "natural"] * 3)
    assert answer is not None
    assert (answer.kind, answer.name, answer.version) == ("mixture", "text", 2)
    assert answer.body["weights"]["web"] == pytest.approx(0.6, abs=0.08)
    assert answer.body["held_out"]["rank_correlation"] > 0.8
    for gain in answer.body["check"]["gain"].values():
        assert gain["low"] > 0
    assert {trial.origin for trial in trials if trial.label == "uniform"} == {"reference"}
    kinds = [event.kind for event in store.events_after(0, job.id)]
    assert kinds.count("job.answer") == 2


@pytest.mark.slow
def test_a_filter_goes_first_and_a_soup_comes_last(store: Store, proposer: Proposer) -> None:
    options = {"filter": {"method": "ppl_filter"}, "soup": {"of": 3}, "budget": {"trials": 8, "held_out": 0}}
    executor = ComputingExecutor(slots=4, script=computed)
    job = drive(
        Conductor(store, executor, proposer, "home.a"), store.create_job("text", admitted(MIXTURE | options)).id
    )
    assert job.state == "completed", job.reason
    given: list[Any] = executor.started
    assert given[0].role == "filter"
    assert {one.selection for one in given[1:]} == {Artifact(sha256=f"{job.id}-0".rjust(64, "0"), size=1)}
    soup = next(one for one in given if one.role == "soup")
    proxies = sorted((t for t in store.searched_trials(job.id) if t.label is None), key=lambda t: t.metrics["loss"])
    assert [part.model.sha256 for part in soup.parts] == [trial.adapter for trial in proxies[:3]]
    answer = store.job_answer(job.id)
    assert answer is not None
    assert answer.body["soup"]["members"] == 3


def test_a_law_is_fitted_to_the_grid_and_kept(store: Store, proposer: Proposer) -> None:
    job, trials, answer = ended(store, proposer, LAW)
    assert job.state == "completed", job.reason
    assert len(trials) == 2 * 2 * 15
    assert answer is not None
    assert answer.body["learning_rate"]["exponents"]["parameters"] == pytest.approx(0.2, abs=0.02)
    assert answer.body["learning_rate"]["exponents"]["tokens"] == pytest.approx(-0.1, abs=0.02)
    assert store.answer("law", "adapters") == answer


def test_a_law_trains_each_size_on_its_rows(store: Store, proposer: Proposer) -> None:
    executor = ComputingExecutor(slots=4, script=computed)
    conductor = Conductor(store, executor, proposer, "home.a")
    job = store.create_job("adapters", admitted(LAW))
    drive(conductor, job.id, until=lambda: store.get_job(job.id).counts["completed"] == 60)
    given = executor.started
    assert {one.task.train_rows for one in given} == {200, 800}
    assert {one.config["rank"] for one in given} == {2, 8}
    assert all("train_rows" not in one.config and "epochs" not in one.config for one in given)
    assert len({one.seed for one in given}) == 1


@pytest.mark.slow
def test_a_plan_goes_on_after_its_conductor_has_died(store: Store, proposer: Proposer) -> None:
    executor = ComputingExecutor(slots=2, script=computed)
    job = store.create_job("text", admitted(MIXTURE))
    first = Conductor(store, executor, proposer, "home.a")
    drive(first, job.id, until=lambda: store.get_job(job.id).counts["completed"] >= 12)
    take_over(store, "home.")  # what the next service does first; the dead one's workers died with it
    over = drive(Conductor(store, ComputingExecutor(slots=2, script=computed), proposer, "home.b"), job.id)
    assert (over.state, over.reason) == ("completed", None)
    assert len(store.searched_trials(job.id)) == 25 + 9
    answer = store.job_answer(job.id)
    assert answer is not None
    assert answer.version == 2


def test_proxies_that_cannot_be_learnt_from_fail_the_job(store: Store, proposer: Proposer) -> None:
    def even(given: Any) -> list[Message]:
        outcome = proxy_outcome(given)
        level = dict.fromkeys(outcome.metrics, 3.0)
        return [outcome.model_copy(update={"metrics": level})]

    executor = ComputingExecutor(slots=4, script=even)
    job = drive(Conductor(store, executor, proposer, "home.a"), store.create_job("text", admitted(MIXTURE)).id)
    assert job.state == "failed"
    assert "equal losses tell nothing" in (job.reason or "")
    assert store.job_answer(job.id) is None

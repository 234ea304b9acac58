"""What a search needs next, from its run alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from service.conductor.agendas.decisions import Verdict
from service.conductor.agendas.search import SearchAgenda, search_run
from service.conductor.run import Run
from service.conductor.training.placement import Machine
from service.jobs.search.spec import JobSpec
from service.store.records import Job, Trial
from tests.service.conductor.stored import CREATED, stored_trial

EXHAUSTED = "the space is exhausted after 3 configurations"


def run_of(*trials: Trial, **budget: Any) -> Run:
    spec = JobSpec.model_validate(
        {
            "name": "t",
            "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
            "space": {"preset": "lora"},
            "objectives": [{"metric": "accuracy", "direction": "maximize"}],
            "budget": {"trials": 10, **budget},
        }
    )
    job = Job(
        id="jx", name="t", state="running", spec=spec.model_dump(mode="json"), created_at=CREATED, started_at=CREATED,
        finished_at=None, reason=None, lease_owner="me", lease_until=None, version=1, counts={}, front_size=0,
    )  # fmt: skip
    return search_run(job, trials, (), Machine(2, 0, 8e9))


def exhausted(run: Run) -> Run:
    assert isinstance(run.agenda, SearchAgenda)
    run.agenda.suggestions.no_more = EXHAUSTED
    return run


def test_spent_time_drops_what_waits_until_it_is_dropped_even_from_an_exhausted_space() -> None:
    running = stored_trial(0, "running", started_at=CREATED)
    again = stored_trial(1, "queued", attempt=1)  # lost by its worker: begun, so it goes on
    run = exhausted(run_of(running, again, stored_trial(2, "queued"), wall_clock=60))
    assert not run.agenda.next(run, CREATED + timedelta(seconds=59)).drop
    for _ in range(2):  # the store may be away: until it has taken them back they are named again
        assert run.agenda.next(run, CREATED + timedelta(seconds=61)).drop == ["jx-2"]
    run.drop("jx-2")
    assert not run.agenda.next(run, CREATED + timedelta(seconds=61)).drop
    for number in (0, 1):
        run.put(stored_trial(number, "completed"))
    assert run.agenda.next(run, CREATED + timedelta(seconds=70)).end == Verdict("completed", EXHAUSTED)

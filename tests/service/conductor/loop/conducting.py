"""A conductor that is ticked by hand, on a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from service.conductor.loop import Conductor
from service.jobs.search.spec import JobSpec
from service.store.records import Job
from service.store.store import Store
from tests.patience import wait_until
from workers.assignment import Assignment

SPEC: dict[str, Any] = {
    "name": "ranks",
    "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
    "space": {"preset": "lora"},
    "objectives": [{"metric": "accuracy", "direction": "maximize"}],
    "optimizer": {"name": "random"},
    "budget": {"trials": 6, "epochs": 2},
    "seed": 3,
}


class Clock:
    """Time that passes when told to; one for wall clock and monotonic time."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


Make = Callable[..., Conductor]


def submit(store: Store, **changes: Any) -> Job:
    spec = JobSpec.model_validate({**SPEC, **changes})
    return store.create_job(spec.name, spec.model_dump(mode="json"))


def never_ending(_: Assignment) -> list[Any]:
    """A trial that sends nothing."""
    return []


def tick_until(conductor: Conductor, clock: Clock, done: Callable[[], bool], step: float = 0.5) -> None:
    """Tick until `done`; the proposer is a real process, so real time may pass, too."""

    def tick() -> None:
        conductor.tick(wait=0)
        clock.seconds += step

    wait_until(done, "the conductor gets there", every=0.005, meanwhile=tick)


def is_over(store: Store, job: Job) -> Callable[[], bool]:
    return lambda: store.get_job(job.id).state in ("completed", "failed", "cancelled")

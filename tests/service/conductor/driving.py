"""A conductor that works, in the test's own thread, until a job is over or something else has come about."""

from __future__ import annotations

from collections.abc import Callable

from service.conductor.loop import Conductor
from service.store.records import Job
from tests.patience import wait_until


def drive(conductor: Conductor, job_id: str, until: Callable[[], bool] = lambda: False) -> Job:
    """The job as it is then."""

    def now() -> Job:
        return conductor.store.get_job(job_id)

    wait_until(
        lambda: now().finished_at or until(),
        lambda: f"the conductor gets there: {now()}",
        every=0,
        meanwhile=lambda: conductor.tick(wait=0.01),
    )
    return now()

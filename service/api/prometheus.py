"""Numbers for Prometheus: requests as they are answered, jobs and trials as the store has them when it is asked."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.route_names import route_of
from service.store.records import Job
from service.store.states import JOB_STATES, TRIAL_STATES
from service.store.store import Store

PAGE = 500


class Numbers:
    """One registry per app, so that several apps in a process do not add up."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "peftsearch_request_seconds",
            "Seconds until the answer began",
            ("method", "route", "status"),
            registry=self._registry,
        )

    def exposition(self, store: Store, project: str | None) -> bytes:
        """Everything in the Prometheus text format; jobs and trials are those of a project, or of all."""
        jobs, trials = Tally[str](), Tally[str]()
        for job in jobs_of(store, project):
            jobs[job.state] += 1
            trials.update(job.counts)
        seen = CollectorRegistry()  # of this scrape alone: the next one may see another project
        by_state = Gauge("peftsearch_jobs", "Jobs by state", ("state",), registry=seen)
        trials_by_state = Gauge("peftsearch_trials", "Trials by state", ("state",), registry=seen)
        for state in JOB_STATES:
            by_state.labels(state).set(jobs[state])
        for trial_state in TRIAL_STATES:
            trials_by_state.labels(trial_state).set(trials[trial_state])
        return generate_latest(self._registry) + generate_latest(seen)


class RequestTimer:
    """ASGI middleware that measures each request until its answer begins (a stream may go on for hours)."""

    def __init__(self, app: ASGIApp, numbers: Numbers) -> None:
        self.app, self.numbers = app, numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note when the first message of its answer is sent."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The route's pattern, not the path: ids would make a series for each job.
                route = route_of(scope) or "(none)"
                labels = (scope["method"], route, str(message["status"]))
                self.numbers.requests.labels(*labels).observe(time.perf_counter() - start)
            await send(message)

        await self.app(scope, receive, timed)


def jobs_of(store: Store, project: str | None) -> Iterator[Job]:
    """All jobs of a project, or of all, newest first."""
    cursor = None
    while True:
        page = store.list_jobs(cursor, PAGE, project)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return

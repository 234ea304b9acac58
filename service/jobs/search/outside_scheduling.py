"""What an outside worker does after a report: what the job's scheduler decides, from stored reports alone.

Reading every report of a job for each decision would take a second at 10,000 trials. What was read is kept for the
jobs asked about last and brought up to date from their events, which tell of every report in its order.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache

from optimizers.problem import Problem
from optimizers.schedulers.contract import Point
from service.errors import NotFound
from service.jobs.kinds import kind_of
from service.jobs.search import scheduling
from service.jobs.search.problem import stored_problem
from service.jobs.search.spec import JobSpec
from service.store.records import Event, Job, Trial
from service.store.states import JOB_OVER
from service.store.store import Store
from workers.assignment import Decision

JOBS = 16
"""Jobs whose curves are kept."""

BATCH = 5000


@dataclass
class _Curves:
    """The trials of a search and their learning curves, as of an event."""

    sequence: int = -1
    trials: dict[str, Trial] = field(default_factory=dict)
    reported: scheduling.Reported = field(default_factory=scheduling.Reported)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def bring_up_to_date(self, store: Store, job_id: str) -> None:
        """Take in what has happened since."""
        if self.sequence < 0:
            self._read(store, job_id)
        while events := store.events_after(self.sequence, job_id, BATCH):
            changed = {one.payload["trial_id"] for one in events if self._is_news(one)}
            for id in changed:
                self._put(store, id)
            for event in events:
                if event.kind == "trial.report":
                    told = event.payload
                    self._add(told["trial_id"], told["attempt"], Point(told["epoch"], told["metrics"]))
            self.sequence = events[-1].sequence

    def _read(self, store: Store, job_id: str) -> None:
        sequence = store.last_sequence()  # before the trials are read, so that nothing falls between
        self.trials = {trial.id: trial for trial in store.searched_trials(job_id)}
        for report in store.job_reports(job_id):
            self._add(report.trial_id, report.attempt, Point(report.epoch, report.metrics))
        self.sequence = sequence

    def _is_news(self, event: Event) -> bool:
        """Whether a trial may be new or have another configuration: reports and ends change neither."""
        return event.kind == "trial.queued" or (
            event.kind.startswith("trial.") and event.payload.get("trial_id") not in self.trials
        )

    def _put(self, store: Store, id: str) -> None:
        try:
            trial = store.get_trial(id)
        except NotFound:  # a suggestion taken back
            self.trials.pop(id, None)
            return
        if trial.confirms is None:
            self.trials[id] = trial

    def _add(self, id: str, attempt: int, point: Point) -> None:
        if id in self.trials:
            self.reported.add(id, attempt, point)


class OutsideScheduling:
    """Decides for outside workers. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Curves] = OrderedDict()

    def decide(self, job: Job, trial_id: str) -> Decision:
        """Stop when the job is over, else what its scheduler says. A paused job lets running trials go on to their
        end."""
        if job.state in JOB_OVER:
            return "stop"
        if kind_of(job.spec) != "search":
            return "continue"  # planned trials run to their end
        document = json.dumps(job.spec, sort_keys=True)
        spec = _spec(document)
        if spec.scheduler.name == "none":
            return "continue"
        curves = self._curves(job.id)
        with curves.lock:
            curves.bring_up_to_date(self._store, job.id)
            if trial_id not in curves.trials:
                return "continue"  # a confirmation is measured at its end and rivals nobody
            return scheduling.decide(spec, _problem(document), trial_id, curves.trials, curves.reported.points)

    def _curves(self, job_id: str) -> _Curves:
        with self._lock:
            curves = self._known.setdefault(job_id, _Curves())
            self._known.move_to_end(job_id)
            if len(self._known) > JOBS:
                self._known.popitem(last=False)
            return curves


@lru_cache(maxsize=JOBS)
def _spec(document: str) -> JobSpec:
    return JobSpec.model_validate_json(document)


@lru_cache(maxsize=JOBS)
def _problem(document: str) -> Problem:
    return stored_problem(_spec(document))

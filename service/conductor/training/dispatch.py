"""Gives workers to queued trials, places in packs to further ones, and ends workers that hang.

A trial is claimed in the store before it is started: whatever happens in between, its lease runs out and it is queued
again. Who may start what is decided in `decisions`, `packs` and `silence`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from service.conductor.agendas.decisions import allot
from service.conductor.run import Run
from service.conductor.training.executor import Executor, Lost, Work
from service.conductor.training.under_way import Dispatched, UnderWay
from service.errors import NotFound, Unavailable
from service.store.records import Trial
from service.store.store import Store
from workers import tracing
from workers.assignment import Assignment

log = logging.getLogger(__name__)


@dataclass
class Dispatch:
    """The way from a queued trial to its worker. `look_again` reads a job that turned out to have changed, `fail` ends
    one in which something went wrong; the others go on."""

    store: Store
    executor: Executor
    owner: str
    lease: float
    monotonic: Callable[[], float]
    under_way: UnderWay
    look_again: Callable[[str], None]
    fail: Callable[[str, Exception], None]
    _started: int = 0  # workers given out

    def fill_workers(self, runs: Mapping[str, Run]) -> None:
        """Give every free worker to a queued trial, or a group of them, fairly among the jobs."""
        faulty: set[str] = set()
        while True:
            sound = ((id, run) for id, run in runs.items() if id not in faulty)
            by_turn = sorted(sound, key=lambda item: item[1].last_start)
            fitting = {id: run for id, run in by_turn if self.executor.free(run.shape) > 0}
            startable = {job_id: run.startable() for job_id, run in fitting.items()}
            chosen = allot(1, {job_id: run.running for job_id, run in fitting.items()}, startable)
            if not chosen:
                return
            try:
                if not self._start_next(fitting[chosen[0]]):
                    return
            except Unavailable:
                raise
            except Exception as error:  # what was claimed is taken back when the job is wound up
                faulty.add(chosen[0])
                self.fail(chosen[0], error)

    def fill_packs(self, runs: Mapping[str, Run]) -> None:
        """Give free places in packs under way to their job's next trials, unless another job waits for a worker."""
        hungry = [run for run in runs.values() if run.startable() > 0]
        if len(hungry) != 1:
            return
        run = hungry[0]
        try:
            self._fill_packs_of(run)
        except Unavailable:
            raise
        except Exception as error:
            self.fail(run.job.id, error)

    def _fill_packs_of(self, run: Run) -> None:
        for worker, trial_ids in self.under_way.workers().items():
            places = self.under_way[trial_ids[0]].places
            aboard = run.find_all(trial_ids)
            while places > len(aboard) > 0 and run.startable() > 0:
                joining = run.packs.joining(aboard, run.waiting(), run.placement)
                if joining is None:
                    break
                if (trial := self._claim(run, joining, worker)) is None:
                    return
                self._begin(run, [trial], worker, places)
                assignment = _work(run, trial)
                assert isinstance(assignment, Assignment)  # proxies are never packed
                self.executor.board(assignment, aboard[0].id)
                aboard.append(trial)

    def end_silent(self, runs: Mapping[str, Run]) -> list[Lost]:
        """End workers that hang; what is thereby lost."""
        lost = []
        for worker, trial_ids in self.under_way.workers().items():
            silent = self.under_way.silent(worker, self.monotonic())
            run = runs.get(self.under_way[trial_ids[0]].job_id)
            if run is None:
                continue
            try:
                expected = run.packs.expected_silence(run.find_all(trial_ids))
            except Exception as error:
                self.fail(run.job.id, error)
                continue
            if not run.silences.too_long(silent, expected):
                continue
            reason = f"its worker hangs: no sign of life for {silent:.0f} s"
            log.warning("%s: %s", ", ".join(trial_ids), reason)
            for trial_id in trial_ids:
                self.executor.abandon(trial_id)
                lost.append(Lost(trial_id, self.under_way[trial_id].attempt, reason, len(trial_ids)))
        return lost

    def abandon(self, trial_id: str) -> None:
        """End the worker of a trial that is not ours any more."""
        self.executor.abandon(trial_id)
        self.under_way.end(trial_id)

    def _start_next(self, run: Run) -> bool:
        """Claim the job's next trial and those that train with it, and start them; False when none was there."""
        waiting = run.waiting()
        group = run.packs.group(waiting[0], waiting, self._share(run), run.placement)
        self._started += 1
        run.last_start = self._started
        worker = f"{self.owner}/{self._started}"
        claimed = [trial for one in group if (trial := self._claim(run, one, worker)) is not None]
        if not claimed:
            return False
        places = run.placement.places if run.packs.key(claimed[0]) else 1
        self._begin(run, claimed, worker, places)
        self.executor.start([_work(run, trial) for trial in claimed], run.shape, places)
        return True

    def _share(self, run: Run) -> int:
        """Trials that the next worker may begin with: no more than its part, where others are free for the job, too."""
        busy = sum(self.under_way[trial_ids[0]].job_id == run.job.id for trial_ids in self.under_way.workers().values())
        free = max(1, min(run.placement.workers - busy, self.executor.free(run.shape)))
        return -(-run.startable() // free)

    def _begin(self, run: Run, trials: Iterable[Trial], worker: str, places: int) -> None:
        for trial in trials:
            self.under_way.begin(trial.id, Dispatched(run.job.id, trial.attempt, worker, places), self.monotonic())

    def _claim(self, run: Run, trial: Trial, worker: str) -> Trial | None:
        """The trial as we hold it from now on; None when it turned out not to be there."""
        try:
            claimed = self.store.claim_trial(run.job.id, worker, self.lease, trial.id)
        except NotFound:
            claimed = None
        if claimed is None:  # claimed by an outside worker, or the job is not running any more
            run.drop(trial.id)
            with suppress(NotFound):
                run.put(self.store.get_trial(trial.id))
            self.look_again(run.job.id)
            return None
        run.put(claimed)
        return claimed


def _work(run: Run, trial: Trial) -> Work:
    """What its worker is given of a claimed trial, as a part of the trace that its job was submitted in."""
    told: tracing.Attributes = {"job_id": run.job.id, "trial_id": trial.id, "attempt": trial.attempt}
    with tracing.span("dispatch trial", run.job.trace, told):
        work = run.agenda.assignment(run, trial)
        trace = tracing.current() or run.job.trace
    return work if trace is None else work.model_copy(update={"trace": trace})

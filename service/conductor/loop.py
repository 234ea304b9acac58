"""The conductor: takes jobs under a lease and moves each of them on, one short tick at a time.

A thin shell. What to do is decided by each job's `Agenda` (`run`), how a trial is trained is the executor's business,
and whatever matters is in the store before anyone acts on it. In memory there is only what the store can give again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from service.conductor.agendas.decisions import Verdict
from service.conductor.agendas.plan import plan_run
from service.conductor.agendas.search import search_run
from service.conductor.inbox import Inbox
from service.conductor.moving import move_on
from service.conductor.proposing.proposer import Proposer, Reply
from service.conductor.proposing.ready_queue import LEARN_FROM_PAST
from service.conductor.run import Run
from service.conductor.training.dispatch import Dispatch
from service.conductor.training.executor import Executor
from service.conductor.training.placement import lacking, place, wants_speed
from service.conductor.training.under_way import UnderWay
from service.errors import Conflict, NotFound, ServiceError, Unavailable
from service.jobs.kinds import designed_spec
from service.jobs.search import past_jobs
from service.store.access import Clock
from service.store.records import Event, Job, Trial
from service.store.states import JOB_OVER
from service.store.store import Store, utc_now
from workers import tracing
from workers.assignment import Outcome

LEASE = 8.0  # seconds after which a silent conductor or worker is taken for dead
GRACE = 10.0  # seconds that the trials of a job that is over have to end by themselves
LEAVE = 15.0  # seconds in which trials may write down where they are when the conductor is stopped
WAIT = 0.1  # seconds that a tick waits for messages
LOOK_FOR_SILENCE = 5.0  # seconds between looks for workers that hang
LOOK_FOR_JOBS = 0.5  # seconds between looks for new jobs
LOOK_AT_NODES = 10.0  # seconds between looks at the cluster, for operators
EVENT_BATCH = 1000
log = logging.getLogger(__name__)


@dataclass
class Conductor:
    """Drives the jobs of one store on one executor. Several conductors may share a store: leases keep them apart."""

    store: Store
    executor: Executor
    proposer: Proposer
    owner: str
    lease: float = LEASE
    clock: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    has_room: Callable[[], bool] = lambda: True  # whether workers can store what they have trained
    _runs: dict[str, Run] = field(default_factory=dict)
    _dispatched: UnderWay = field(default_factory=UnderWay)
    _dispatch: Dispatch = field(init=False)
    _inbox: Inbox = field(init=False)
    _sequence: int = -1  # of the last event seen
    _last: dict[str, float] = field(default_factory=dict)  # when each periodic duty was last done

    def __post_init__(self) -> None:
        self._inbox = Inbox(self.store, self._dispatched, self._run_of, self._mirror, self._fail_job)
        self._dispatch = Dispatch(
            self.store,
            self.executor,
            self.owner,
            self.lease,
            self.monotonic,
            self._dispatched,
            self._mirror_job,
            self._fail_job,
        )

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop` is set, then hand everything back so that the next conductor goes on at once."""
        while not stop.is_set():
            try:
                self.tick()
            except Unavailable as error:
                log.warning("waiting for the database: %s", error.detail)
                stop.wait(1.0)
        self.hand_back()

    def tick(self, wait: float = WAIT) -> None:
        """Do all that is due now, after waiting up to `wait` seconds for messages from the workers."""
        # Own leases first: after a long sleep of the machine they must be renewed before expired ones are looked for.
        self._when_due("leases", self.lease / 3, self._keep_leases)
        self._when_due("expired", self.lease / 5, lambda: self._mirror(self.store.requeue_expired()))
        self._when_due("jobs", LOOK_FOR_JOBS, self._take_jobs)
        self._receive(wait)
        self._inbox.apply()
        self._follow_events()
        for reply in self.proposer.poll():
            if (run := self._runs.get(reply.request.job_id)) is not None:
                self._guarded(run, self._apply_reply, reply)
        for run in list(self._runs.values()):
            self._guarded(run, self._advance)
        self._dispatch.fill_workers(self._runs)
        self._dispatch.fill_packs(self._runs)
        self._when_due("silence", LOOK_FOR_SILENCE, self._look_for_silence)
        self._when_due("nodes", LOOK_AT_NODES, self._tell_nodes)

    def hand_back(self) -> None:
        """Let the trials write checkpoints, if that takes no more than `LEAVE` seconds, take those that are left
        from their workers, without counting it against them, and release the jobs."""
        self._interrupt()
        self._inbox.apply()
        for trial_id, dispatched in list(self._dispatched.items()):
            self._dispatch.abandon(trial_id)
            self._inbox.requeue(trial_id, dispatched.attempt, "the conductor was stopped", blameless=True)
        for job_id in list(self._runs):
            self._forget(job_id)
        with suppress(Unavailable):  # what it saw of its machines is soon too old to count
            self.store.tell_nodes(self.owner, ())

    def _interrupt(self) -> None:
        """Wait until all that are under way have stopped behind a step of theirs."""
        deadline = self.monotonic() + LEAVE
        if self._dispatched:
            log.info("%d trials write checkpoints", len(self._dispatched))
            self.executor.interrupt()
        while self._dispatched and self.monotonic() < deadline:
            try:
                self._when_due("leases", self.lease / 3, self._keep_leases)
                self._receive(WAIT)
                self._inbox.apply()
            except Unavailable as error:
                log.warning("waiting for the database: %s", error.detail)

    # Leases

    def _when_due(self, duty: str, period: float, perform: Callable[[], object]) -> None:
        """Perform a periodic duty. Where that fails it stays due: nothing may expire while nothing can be renewed."""
        now = self.monotonic()
        if now - self._last.get(duty, -period) >= period:
            perform()
            self._last[duty] = now

    def _look_for_silence(self) -> None:
        """End workers that hang. On a full disk all of them may have to wait, which is not their fault."""
        if self.has_room():
            self._inbox.messages.extend(self._dispatch.end_silent(self._runs))
        else:
            for trial_id in self._dispatched:
                self._dispatched.heard(trial_id, self.monotonic())

    def _tell_nodes(self) -> None:
        """For people to look at: what cannot be told is told of in the log, and no trial waits for it."""
        try:
            self.store.tell_nodes(self.owner, self.executor.nodes())
        except Unavailable:
            raise
        except Exception as error:
            log.warning("the machines cannot be looked at", exc_info=error)

    def _keep_leases(self) -> None:
        for job_id, run in list(self._runs.items()):
            if run.job.state == "running" and not self.store.extend_job_lease(job_id, self.owner, self.lease):
                self._lose(job_id)
        for trial_id, dispatched in list(self._dispatched.items()):
            if not self.store.extend_trial_lease(trial_id, dispatched.attempt, self.lease):
                log.warning("%s is no longer ours; its worker is ended", trial_id)
                self._dispatch.abandon(trial_id)

    def _lose(self, job_id: str) -> None:
        """The job's lease is not ours: it has ended or paused (then mirror that), or another conductor has taken it."""
        self._mirror_job(job_id)
        run = self._runs.get(job_id)
        if run is not None and run.job.state == "running":
            log.warning("job %s has gone to %s", job_id, run.job.lease_owner)
            self._drop_run(job_id)

    def _take_jobs(self) -> None:
        while (job := self.store.lease_job(self.owner, self.lease)) is not None:
            try:
                with tracing.span("take job", job.trace, {"job_id": job.id, "conductor": self.owner}):
                    self._runs[job.id] = self._open(job)
            except Unavailable:
                raise
            except Exception as error:
                self._fail_job(job.id, error)

    def _open(self, job: Job) -> Run:
        """Rebuild everything about the job from the store; a new job gets its first trials."""
        if self._sequence < 0:
            self._sequence = self.store.last_sequence()  # before the trials are read, so that nothing falls between
        run = self._rebuilt(job)
        if not run.trials:
            for trial in self.store.add_trials(job.id, run.agenda.opening_trials()):
                run.put(trial)
        if run.spec.resources.executor == "ray" and (lack := lacking(run.shape, self.executor.machine())):
            self.store.add_event(job.id, "note", {"message": lack})
        log.info("job %s: %d trials so far", job.id, len(run.trials))
        return run

    def _rebuilt(self, job: Job) -> Run:
        trials = (*self.store.searched_trials(job.id), *self.store.confirmations(job.id))
        if (designed := designed_spec(job.spec)) is not None:
            known = self.store.job_answer(job.id)
            return plan_run(job, designed, trials, self.executor.machine(), None if known is None else known.body)
        past = past_jobs.alike(self.store, job) if job.spec["optimizer"]["name"] in LEARN_FROM_PAST else ()
        reports, exploits = self.store.job_reports(job.id), self.store.job_exploits(job.id)
        return search_run(job, trials, reports, self.executor.machine(), past, exploits)

    # What others changed

    def _mirror(self, trials: Iterable[Trial]) -> None:
        for trial in trials:
            if (run := self._runs.get(trial.job_id)) is not None:
                self._guarded(run, Run.put, trial)

    def _mirror_job(self, job_id: str) -> None:
        """Read the job again; a changed spec rebuilds its run, a deleted job ends it."""
        run = self._runs[job_id]
        try:
            job = self.store.get_job(job_id)
            if job.spec != run.job.spec:
                self._guarded(run, self._open_again, job)
            elif job.state == "paused" and run.job.state == "running":
                self.store.release_job(job_id, self.owner)  # whoever is asked to resume it may take it at once
            run.job = job
        except NotFound:
            self._drop_run(job_id)

    def _open_again(self, _before: Run, job: Job) -> None:
        self._runs[job.id] = self._open(job)

    def _drop_run(self, job_id: str) -> None:
        """End our part in a job that is not ours (any more)."""
        for trial_id in self._dispatched.of_job(job_id):
            self._dispatch.abandon(trial_id)
        self.proposer.forget(job_id)
        self._runs.pop(job_id, None)

    def _follow_events(self) -> None:
        """Bring the mirror up to date with what the API, outside workers and other conductors have done."""
        if not self._runs:
            self._sequence = -1  # nobody to follow for: the next job begins at the newest event
            return
        jobs: set[str] = set()
        trials: set[tuple[str, str]] = set()
        while events := self.store.events_after(self._sequence, limit=EVENT_BATCH):
            self._sequence = events[-1].sequence
            for event in events:
                if (run := self._runs.get(event.job_id)) is not None:
                    self._note_event(run, event, jobs, trials)
        for job_id in jobs:
            self._mirror_job(job_id)
        for job_id, trial_id in trials:
            with suppress(NotFound):
                if (run := self._runs.get(job_id)) is not None:
                    self._guarded(run, Run.put, self.store.get_trial(trial_id))

    def _note_event(self, run: Run, event: Event, jobs: set[str], trials: set[tuple[str, str]]) -> None:
        if event.kind in ("job.state", "job.spec"):
            jobs.add(run.job.id)
        elif event.kind == "trial.dropped":
            run.drop(event.payload["trial_id"])
        elif event.kind == "trial.report":
            self._guarded(run, self._heed, event)
        elif event.kind.startswith("trial.") and run.is_news(event):
            trials.add((run.job.id, event.payload["trial_id"]))

    def _heed(self, run: Run, report: Event) -> None:
        # What pauses does so by itself (`Assignment.pause_every`): an answer would come after it, and stop it later.
        decision, told = run.agenda.record(run, report), report.payload
        dispatched = self._dispatched.get(told["trial_id"])
        if decision != "pause" and dispatched is not None and dispatched.attempt == told["attempt"]:
            self.executor.answer(told["trial_id"], told["step"], decision)

    # What the workers and the optimizer say

    def _receive(self, wait: float) -> None:
        """Take in what has come, and note who has spoken: at once, for storing it may have to wait for the database."""
        messages = self.executor.receive(wait)
        for message in messages:
            silent = self._dispatched.heard(message.trial_id, self.monotonic())
            if silent is not None and (run := self._run_of(message.trial_id)) is not None:
                run.silences.ended(silent)
        self._inbox.messages.extend(messages)

    def _run_of(self, trial_id: str) -> Run | None:
        dispatched = self._dispatched.get(trial_id)
        return None if dispatched is None else self._runs.get(dispatched.job_id)

    def _apply_reply(self, run: Run, reply: Reply) -> None:
        refill = run.agenda.accept(run, reply)
        try:
            for note in refill.notes:
                self.store.add_event(run.job.id, "note", {"message": note})
            if refill.answer is not None and run.spec.kind != "search":
                self.store.add_answer(run.spec.kind, run.job.name, dict(refill.answer), run.job.id)
            if refill.drop or refill.add:
                stored = self.store.replace_queued(run.job.id, refill.drop, refill.add)
                self._mirror(stored)
                run.agenda.stored(stored, refill.evidence)
        except (NotFound, Conflict) as refusal:  # the job ended while the optimizer worked
            log.info("suggestions for %s refused: %s", run.job.id, refusal.detail)

    # What is next

    def _guarded(self, run: Run, step: Callable[..., None], *given: object) -> None:
        """A fault in one job must not stop the others: it fails with the error as its reason."""
        try:
            with tracing.within(run.job.trace):
                step(run, *given)
        except Unavailable:
            raise
        except Exception as error:
            self._fail_job(run.job.id, error)

    def _fail_job(self, job_id: str, error: Exception) -> None:
        log.error("job %s fails", job_id, exc_info=error)
        reason = error.detail if isinstance(error, ServiceError) else f"{type(error).__name__}: {error}"
        with suppress(NotFound, Conflict):
            job = self.store.set_job_state(job_id, "failed", reason)
            if (run := self._runs.get(job_id)) is not None:
                run.job = job

    def _advance(self, run: Run) -> None:
        if run.job.state != "running":
            self._wind_up(run)
            return
        self._place(run)
        step = run.agenda.next(run, self.clock())
        if step.drop:
            self.store.replace_queued(run.job.id, step.drop, [])
            run.trials.drop(step.drop)
        if step.add:
            log.info("job %s: %d trainings to confirm its front", run.job.id, len(step.add))
            self._mirror(self.store.add_trials(run.job.id, step.add))
        if step.ask is not None:
            self.proposer.submit(step.ask, run.job.trace)
        move_on(self.store, run, step.moves)
        if step.end is not None:
            self._end(run, step.end)

    def _place(self, run: Run) -> None:
        """Plan again: a cluster grows and shrinks, and measurements come in."""
        resources, machine = run.spec.resources, self.executor.machine()
        speed = self.executor.speed() if wants_speed(resources, machine) else None
        run.placement = place(resources, machine, speed, run.packs.ceiling)

    def _end(self, run: Run, verdict: Verdict) -> None:
        log.info("job %s is %s%s", run.job.id, verdict.state, f": {verdict.reason}" if verdict.reason else "")
        try:
            run.job = self.store.set_job_state(run.job.id, verdict.state, verdict.reason)
        except (NotFound, Conflict):  # cancelled or deleted in this very moment
            self._mirror_job(run.job.id)

    def _wind_up(self, run: Run) -> None:
        """Trials of a paused job end by themselves, those of a job that is over are told to; then it is not ours."""
        for trial_id in self._dispatched.of_job(run.job.id):
            dispatched = self._dispatched[trial_id]
            if run.job.state not in JOB_OVER:
                continue
            if dispatched.kill_at is None:
                dispatched.kill_at = self.monotonic() + GRACE
                self.executor.signal(trial_id, "stop")
            elif self.monotonic() >= dispatched.kill_at:
                self.executor.abandon(trial_id)
                self._inbox.messages.append(Outcome(trial_id=trial_id, attempt=dispatched.attempt, status="stopped"))
        if not self._dispatched.of_job(run.job.id):
            self._forget(run.job.id)

    def _forget(self, job_id: str) -> None:
        self.store.release_job(job_id, self.owner)
        self._drop_run(job_id)

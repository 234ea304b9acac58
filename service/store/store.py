"""The store: everything that must survive a crash. One facade; each operation is one transaction.

Made by `open_store`. All times come from the `clock` given there, so tests decide what time it is. Operations raise
the errors of `service.errors`; one that raises has changed nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.errors import StaleAttempt
from service.store import (
    answers,
    courses,
    events,
    exports,
    fronts,
    imports,
    jobs,
    leases,
    lineage,
    provenance,
    references,
    remarks,
    reports,
    results,
    rows,
    trial_columns,
    trials,
    uses,
)
from service.store.access import AccessStore, Clock
from service.store.engine import Database
from service.store.exports import Export
from service.store.migrate import upgrade
from service.store.provenance import Provenance
from service.store.records import (
    DEFAULT_PROJECT,
    EVERY,
    Answer,
    AnswerKind,
    Choice,
    Curve,
    Event,
    Exploit,
    Job,
    JobState,
    NewTrial,
    Page,
    Remarks,
    Resumption,
    StoredReport,
    Trial,
    TrialOrigin,
    TrialState,
)
from service.store.trial_columns import TrialColumns
from service.store.trials import Bound
from service.store.uses import Refinement, Use
from workers.assignment import Outcome, Report


def utc_now() -> datetime:
    """The present time, aware, in UTC."""
    return datetime.now(UTC)


def open_store(url: str, clock: Clock = utc_now) -> Store:
    """Open the database at `url` (`sqlite:///FILE` or `postgresql://…`), creating or upgrading its tables first.

    Several processes may do so at once. Raises BadInput for another kind of URL and Unavailable when the database
    does not answer or is newer than this program.
    """
    database = Database(url)
    upgrade(database)
    return Store(database, clock)


class Store(AccessStore):
    """Jobs, trials, reports, events, and who has access. Safe to share between threads."""

    # Jobs

    def create_job(
        self,
        name: str,
        spec: dict[str, Any],
        idempotency_key: str | None = None,
        project: str = DEFAULT_PROJECT,
        trace: str | None = None,
    ) -> Job:
        """Store a queued job, submitted by a request that is `trace` (a W3C traceparent). The same key with the same
        request returns the job it made, with another: Conflict."""

        def create() -> Job:
            return self._database.write(
                lambda c: jobs.create_job(c, name, spec, idempotency_key, project, trace, self._clock())
            )

        try:
            return create()
        except IntegrityError:  # another process stored the same key between our look and our insert: look again
            return create()

    def get_job(self, id: str) -> Job:
        """The job; raises NotFound."""
        return self._database.read(lambda c: jobs.get_job(c, id))

    def project_of(self, job_id: str) -> str:
        """The project that a job belongs to; raises NotFound."""
        return self._database.read(lambda c: jobs.project_of(c, job_id))

    def list_jobs(
        self, cursor: str | None = None, limit: int = 50, project: str | None = None, choice: Choice = EVERY
    ) -> Page[Job]:
        """One page of the jobs chosen, newest first: of a project, or of all."""
        return self._database.read(lambda c: jobs.list_jobs(c, cursor, limit, project, choice))

    def remark_job(self, id: str, said: Remarks) -> Job:
        """Change a job's tags and note; raises NotFound."""
        return self._database.write(lambda c: remarks.remark_job(c, id, said, self._clock()))

    def remark_trial(self, id: str, said: Remarks) -> Trial:
        """Change a trial's tags and note; raises NotFound."""
        return self._database.write(lambda c: remarks.remark_trial(c, id, said, self._clock()))

    def set_job_state(self, id: str, to: JobState, reason: str | None = None) -> Job:
        """Move the job to another state; raises Conflict naming the states it can go to.

        A job that ends (completed, failed, cancelled) drops suggestions that nobody has claimed, stops paused and
        requeued trials and frees its lease; running trials end by their own outcome or when their lease runs out.
        """
        return self._database.write(lambda c: jobs.set_job_state(c, id, to, reason, self._clock()))

    def extend_job(self, id: str, spec: dict[str, Any]) -> Job:
        """Replace the job's spec (a larger budget, other constraints). A job that was over is queued again."""
        return self._database.write(lambda c: jobs.extend_job(c, id, spec, self._clock()))

    def delete_job(self, id: str) -> None:
        """Delete the job with its trials, reports and events; raises NotFound."""
        self._database.write(lambda c: jobs.delete_job(c, id))

    # Leases of jobs, for conductors

    def lease_job(self, owner: str, ttl: float) -> Job | None:
        """Take the oldest queued or running job that nobody holds, for `ttl` seconds; it becomes running."""
        return self._database.write(lambda c: leases.lease_job(c, owner, ttl, self._clock()))

    def import_trials(self, id: str, measured: Sequence[imports.Measured]) -> tuple[Trial, ...]:
        """Add trials that were measured elsewhere, and as many to the budget; raises Conflict when the job is over."""
        return self._database.write(lambda c: imports.import_trials(c, id, measured, self._clock()))

    def extend_job_lease(self, id: str, owner: str, ttl: float) -> bool:
        """Hold the job `ttl` seconds from now; False when it is no longer this owner's."""
        return self._database.write(lambda c: leases.extend_job_lease(c, id, owner, ttl, self._clock()))

    def release_job(self, id: str, owner: str) -> None:
        """Give the job back for another conductor to take at once."""
        self._database.write(lambda c: leases.release_job(c, id, owner))

    # Trials

    def add_trials(self, job_id: str, new: Sequence[NewTrial]) -> tuple[Trial, ...]:
        """Store suggestions as queued trials in their order; raises Conflict when the job is over."""
        return self._database.write(lambda c: trials.add_trials(c, job_id, new, self._clock()))

    def replace_queued(self, job_id: str, drop: Sequence[str], add: Sequence[NewTrial]) -> tuple[Trial, ...]:
        """Put `add` in the place of unclaimed suggestions `drop` (trial ids), which keep their ids and numbers.

        For every one of `drop` that was claimed meanwhile, the last of `add` is left out. Returns what was stored.
        """
        return self._database.write(lambda c: trials.replace_queued(c, job_id, drop, add, self._clock()))

    def get_trial(self, id: str) -> Trial:
        """The trial; raises NotFound."""
        return self._database.read(lambda c: rows.find_trial(c, id))

    def list_trials(
        self,
        job_id: str,
        states: Sequence[TrialState] | None = None,
        sort: str = "number",
        descending: bool = False,
        cursor: str | None = None,
        limit: int = 50,
        origins: Sequence[TrialOrigin] | None = None,
        tags: Sequence[str] = (),
    ) -> Page[Trial]:
        """One page of trials, by `number` or by the metric named in `sort` (trials without it last).

        Without `origins` those of the search, which is all but confirmations. Only those that have all of `tags`.
        """
        return self._database.read(
            lambda c: trials.list_trials(c, job_id, states, origins, sort, descending, cursor, limit, tags)
        )

    def searched_trials(self, job_id: str) -> tuple[Trial, ...]:
        """Every trial of the search, by number; confirmations are not among them."""
        return self._database.read(lambda c: trials.searched_trials(c, job_id))

    def confirmations(self, job_id: str) -> tuple[Trial, ...]:
        """The trials that train configurations of the search again, by number."""
        return self._database.read(lambda c: trials.confirmations(c, job_id))

    def reference_trials(self, job_id: str) -> tuple[Trial, ...]:
        """The trials that the search is measured against, by number."""
        return self._database.read(lambda c: trials.reference_trials(c, job_id))

    def trial_columns(
        self, job_id: str, limit: int, before: int | None = None, numbers: Sequence[int] | None = None
    ) -> TrialColumns:
        """The newest trials of the search field by field: of those numbered below `before`, or of `numbers`."""
        return self._database.read(lambda c: trial_columns.trial_columns(c, job_id, limit, before, numbers))

    def newest_completed(self, job_id: str, limit: int) -> tuple[Trial, ...]:
        """The last `limit` completed trials of the search, by number."""
        return self._database.read(lambda c: trials.newest_completed(c, job_id, limit))

    def ranked(
        self,
        job_id: str,
        order: Sequence[tuple[str, float]],
        bounds: Sequence[Bound] = (),
        front_only: bool = False,
        limit: int | None = None,
    ) -> tuple[str, ...]:
        """Ids of the first `limit` completed trials of the search that have the first metric of `order` (metric, sign)
        and lie within `bounds`: smallest sign · metric first, ties by the further metrics and then by number."""
        return self._database.read(lambda c: trials.ranked(c, job_id, order, bounds, front_only, limit))

    def trials_by_id(self, ids: Sequence[str]) -> tuple[Trial, ...]:
        """The trials with these ids (at most some hundreds), in their order."""
        return self._database.read(lambda c: trials.trials_by_id(c, ids))

    def counts(self, job_id: str) -> dict[TrialState, int]:
        """Trials in each state; raises NotFound."""
        return self._database.read(lambda c: trials.counts(c, job_id))

    def course(self, job_id: str, metric: str, maximize: bool, points: int) -> Sequence[float]:
        """See `courses.course`."""
        return self._database.read(lambda c: courses.course(c, job_id, metric, maximize, points))

    def uses(self, trial_id: str) -> tuple[Use, ...]:
        """The jobs of its project that refine the trial's adapter, newest first."""
        job_id = rows.job_id_of(trial_id)
        return self._database.read(lambda c: uses.uses(c, trial_id, jobs.project_of(c, job_id)))

    def refinements(self, job_id: str) -> tuple[Refinement, ...]:
        """The jobs of its project that refine adapters of the job's trials, newest first."""
        return self._database.read(lambda c: uses.refinements(c, job_id, jobs.project_of(c, job_id)))

    def provenance(self, job_id: str) -> tuple[Provenance, ...]:
        """The job's trials by what they say they were trained on, most trials first."""
        return self._database.read(lambda c: provenance.provenance(c, job_id))

    def exported(self, trial: Trial, adapter: str) -> None:
        """The trial's adapter, with this hash, was downloaded once more."""
        self._database.write(lambda c: exports.exported(c, trial, adapter, self._clock()))

    def exports(self, job_id: str) -> tuple[Export, ...]:
        """The job's adapters that were downloaded, the latest first."""
        return self._database.read(lambda c: exports.exports(c, job_id))

    def front(self, job_id: str) -> tuple[Trial, ...]:
        """The trials on the Pareto front, best first by the first objective."""
        return self._database.read(lambda c: fronts.front(c, job_id))

    # Leases of trials, for workers

    def claim_trial(self, job_id: str, worker_id: str, ttl: float, trial_id: str | None = None) -> Trial | None:
        """Give the worker a trial for `ttl` seconds: the one it holds already, else the first queued one, else None.

        With `trial_id`: that one, when it is queued or this worker's already. A job that is not running
        gives out no new trials. Raises NotFound when there is no such job.
        """
        return self._database.write(lambda c: leases.claim_trial(c, job_id, worker_id, ttl, trial_id, self._clock()))

    def extend_trial_lease(self, trial_id: str, attempt: int, ttl: float) -> bool:
        """Hold the trial `ttl` seconds from now; False when this attempt is not the running one."""
        return self._database.write(lambda c: leases.extend_trial_lease(c, trial_id, attempt, ttl, self._clock()))

    def requeue_expired(self) -> tuple[Trial, ...]:
        """Take every running trial whose lease has run out from its worker; returns them as they are now.

        They are queued with `attempt + 1`, failed when lost `resources.max_attempts` times, stopped when their job
        is over.
        """
        now = self._clock()
        taken: list[Trial] = []
        for job_id in self._database.read(lambda c: leases.jobs_with_expired(c, now)):
            taken += self._database.write(lambda c, id=job_id: leases.requeue_expired(c, id, now))  # type: ignore[misc]
        return tuple(taken)

    def requeue_trial(self, trial_id: str, attempt: int, reason: str, blameless: bool = False) -> Trial:
        """Like `requeue_expired` for one trial whose worker is known to be lost; raises StaleAttempt, NotFound.

        `blameless`: its worker was ended on purpose, which does not count towards `resources.max_attempts`.
        """
        return self._database.write(
            lambda c: leases.requeue_trial(c, trial_id, attempt, reason, self._clock(), blameless)
        )

    # Paused trials

    def resume_trials(self, job_id: str, resumptions: Sequence[Resumption]) -> tuple[Trial, ...]:
        """Queue paused trials again, all of them or none: as they are, or from another's checkpoint.

        Raises NotFound, and Conflict when the job is over, one of them has moved on, or a donor has no checkpoint.
        """
        return self._database.write(lambda c: lineage.resume_trials(c, job_id, resumptions, self._clock()))

    def job_exploits(self, job_id: str) -> tuple[Exploit, ...]:
        """Who went on from whose checkpoint, oldest first."""
        return self._database.read(lambda c: lineage.job_exploits(c, job_id))

    # Reports and results

    def add_reports(self, new: Sequence[Report]) -> tuple[bool, ...]:
        """Store a batch of reports; for each, False when its attempt is not the running one and it was refused.

        A report that is there already (same trial, attempt and step) is accepted and changes nothing.
        """
        return self._database.write(lambda c: reports.add_reports(c, new, self._clock()))

    def add_report(self, report: Report) -> None:
        """Store one report; raises StaleAttempt when its attempt is not the running one, NotFound, and BadInput when it
        lies before a report that is there."""
        if not self._database.write(lambda c: reports.add_next_report(c, report, self._clock())):
            trial = self.get_trial(report.trial_id)
            raise StaleAttempt(trial.id, report.attempt, trial.attempt, trial.state)

    def reports(self, trial_id: str) -> tuple[StoredReport, ...]:
        """The trial's reports of all attempts, by attempt and step."""
        return self._database.read(lambda c: reports.reports(c, trial_id))

    def job_reports(self, job_id: str) -> tuple[StoredReport, ...]:
        """The reports of all trials of a job in one query, by trial number, attempt and step."""
        return self._database.read(lambda c: reports.job_reports(c, job_id))

    def curves(self, job_id: str, metric: str, most: int) -> tuple[Curve, ...]:
        """One metric over the epochs of the newest `most` trials that have begun and of those on the front."""
        return self._database.read(lambda c: reports.curves(c, job_id, metric, most))

    def epochs_under_way(self, job_id: str) -> tuple[float, ...]:
        """The epochs that the job's open trials which have reported have come to."""
        return self._database.read(lambda c: reports.epochs_under_way(c, job_id))

    def finish_trial(self, outcome: Outcome) -> Trial:
        """Store how an attempt ended, with the job's front, counters and events. The same outcome again is accepted.

        Raises NotFound, StaleAttempt when the attempt is not current, Conflict when the trial has ended otherwise.
        """
        return self._database.write(lambda c: results.finish_trial(c, outcome, self._clock()))

    def artifacts_in_use(self) -> frozenset[str]:
        """Hashes of the adapters and checkpoints that must be kept."""
        return self._database.read(references.artifacts_in_use)

    # Answers

    def add_answer(
        self,
        kind: AnswerKind,
        name: str,
        body: dict[str, Any],
        job_id: str | None = None,
        project: str = DEFAULT_PROJECT,
    ) -> Answer:
        """Store the next version of an answer in a project (a job's answer: in the job's). The same answer of the same
        job again changes nothing.

        Raises NotFound when there is no such job.
        """

        def add() -> Answer:
            return self._database.write(
                lambda c: answers.add_answer(c, kind, name, body, job_id, project, self._clock())
            )

        try:
            return add()
        except IntegrityError:  # another process took the same version: take the next one
            return add()

    def answer(self, kind: AnswerKind, name: str, version: int | None = None, project: str | None = None) -> Answer:
        """An answer by name, the newest unless a version is named, of a project or of any; raises NotFound."""
        return self._database.read(lambda c: answers.get_answer(c, kind, name, version, project))

    def job_answer(self, job_id: str) -> Answer | None:
        """The newest answer of a job, if it has one yet."""
        return self._database.read(lambda c: answers.job_answer(c, job_id))

    def newest_answers(self, kind: AnswerKind, limit: int = 200, project: str | None = None) -> tuple[Answer, ...]:
        """The newest version under each name, the latest first: of a project, or of all."""
        return self._database.read(lambda c: answers.newest_answers(c, kind, limit, project))

    # Events

    def add_event(self, job_id: str, kind: str, payload: dict[str, Any]) -> None:
        """Tell the job's readers something; raises NotFound."""

        def add(connection: Connection) -> None:
            rows.lock_state(connection, job_id)
            events.append(connection, [events.NewEvent(job_id, kind, payload)], self._clock())

        self._database.write(add)

    def events_after(self, sequence: int, job_id: str | None = None, limit: int = 500) -> tuple[Event, ...]:
        """Up to `limit` events with numbers greater than `sequence`, in order: of one job, or of all."""
        return self._database.read(lambda c: events.events_after(c, sequence, job_id, limit))

    def last_sequence(self) -> int:
        """The number of the newest event of all (0 when there is none): where to begin to follow what comes."""
        return self._database.read(events.last_sequence)

    def sequence_before(self, job_id: str, newest: int) -> int:
        """The number after which the `newest` last events of the job come; 0 when it has no more than those."""
        return self._database.read(lambda c: events.sequence_before(c, job_id, newest))

    def forget_reports(self, age: float, limit: int) -> int:
        """Delete up to `limit` report events of each job that has been over for `age` seconds; how many went.

        The reports themselves stay.
        """
        before = self._clock() - timedelta(seconds=age)
        loud = self._database.read(lambda c: events.jobs_with_old_reports(c, before))
        return sum(
            self._database.write(lambda c, id=job_id: events.forget_old_reports(c, id, before, limit))  # type: ignore[misc]
            for job_id in loud
        )

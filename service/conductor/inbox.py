"""What workers have sent: stored before anything follows from it, and kept where the database does not answer."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from service.conductor.run import Run
from service.conductor.takeover import SUSPECT_AFTER
from service.conductor.training.executor import Lost, Message
from service.conductor.training.under_way import UnderWay
from service.errors import Conflict, NotFound, Unavailable
from service.store.records import Job, Trial
from service.store.states import JOB_OVER
from service.store.store import Store
from workers import tracing
from workers.assignment import Outcome, Report

log = logging.getLogger(__name__)


@dataclass
class Inbox:
    """Messages in the order in which they came. `run_of` is the run that a trial belongs to, if it is ours; `mirror`
    takes over what was stored; `fail` ends a job in which something went wrong."""

    store: Store
    under_way: UnderWay
    run_of: Callable[[str], Run | None]
    mirror: Callable[[Iterable[Trial]], None]
    fail: Callable[[str, Exception], None]
    messages: deque[Message] = field(default_factory=deque)

    def apply(self) -> None:
        """Store what has come in. A message leaves the inbox only when it is stored, so an outage loses none."""
        reports = [message for message in self.messages if isinstance(message, Report)]
        if reports:
            self._store_reports(reports)
            self.messages = deque(message for message in self.messages if not isinstance(message, Report))
        while self.messages:
            message = self.messages[0]
            try:
                if isinstance(message, Outcome):
                    self._finish(message)
                elif isinstance(message, Lost):
                    self._lost(message)
            except Unavailable:
                raise
            except Exception as error:
                self._fault_of(message, error)
            self.under_way.end(message.trial_id)
            self.messages.popleft()

    def requeue(self, trial_id: str, attempt: int, reason: str, blameless: bool = False) -> None:
        """Take a trial from its worker; `blameless`: that does not count against it."""
        try:
            self.mirror([self.store.requeue_trial(trial_id, attempt, reason, blameless)])
        except (NotFound, Conflict) as refusal:
            log.info("%s needs no requeueing: %s", trial_id, refusal.detail)

    def _store_reports(self, reports: list[Report]) -> None:
        """All at once; where that fails, one by one to find the job at fault."""
        try:
            self.store.add_reports(reports)  # refused ones belong to trials that the conductor's leases will end
        except Unavailable:
            raise
        except Exception:
            for report in reports:
                try:
                    self.store.add_reports([report])
                except Unavailable:
                    raise
                except Exception as error:
                    self._fault_of(report, error)

    def _fault_of(self, message: Message, error: Exception) -> None:
        """What a worker sent cannot be stored: its job fails, and nothing else."""
        if (run := self.run_of(message.trial_id)) is not None:
            self.fail(run.job.id, error)
        else:
            log.error("what %s sent cannot be stored", message.trial_id, exc_info=error)

    def _finish(self, outcome: Outcome) -> None:
        run = self.run_of(outcome.trial_id)
        if run is not None:
            outcome = _explained(outcome, run.job)
        told: tracing.Attributes = {"trial_id": outcome.trial_id, "attempt": outcome.attempt, "status": outcome.status}
        try:
            with tracing.span("store outcome", None if run is None else run.job.trace, told):
                self.mirror([self.store.finish_trial(outcome)])
        except (NotFound, Conflict) as refusal:
            log.warning("outcome of %s refused: %s", outcome.trial_id, refusal.detail)

    def _lost(self, lost: Lost) -> None:
        """Nobody knows which trial of a pack ended their worker: all of them go on, in smaller packs."""
        run = self.run_of(lost.trial_id)
        if lost.together > 1 and run is not None and run.packs.shrink(lost.together // 2):
            message = f"a worker was lost with {lost.together} trials: at most {run.packs.ceiling} together from now on"
            with suppress(NotFound):
                self.store.add_event(run.job.id, "note", {"message": f"{message} ({lost.reason})"})
        blameless = lost.blameless or (lost.together > 1 and lost.attempt < SUSPECT_AFTER)
        self.requeue(lost.trial_id, lost.attempt, lost.reason, blameless)


def _explained(outcome: Outcome, job: Job) -> Outcome:
    """An interrupted trial says why; one that paused in a job that is over by now will not go on."""
    if outcome.status in ("paused", "stopped", "interrupted") and job.state in JOB_OVER:
        return outcome.model_copy(update={"status": "stopped", "reason": f"the job is {job.state}"})
    return outcome

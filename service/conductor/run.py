"""One leased job in the conductor's memory: a mirror of the store, where its trials run, and what it needs next.

The loop and the dispatch treat jobs of all kinds alike. What a kind decides is its `Agenda`'s business: `SearchAgenda`
asks an optimizer and a scheduler, `PlanAgenda` follows a plan. All of it is rebuilt from the store at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from optimizers.schedulers.contract import Moves
from service.conductor.agendas.decisions import Verdict, in_order
from service.conductor.mirror import TrialMirror
from service.conductor.proposing.proposer import Conclude, Reply, Request
from service.conductor.proposing.ready_queue import Refill
from service.conductor.training.executor import Work
from service.conductor.training.packs import Packing
from service.conductor.training.placement import Placement, Shape
from service.conductor.training.silence import Silences
from service.jobs.kinds import DesignedSpec
from service.jobs.search.spec import JobSpec
from service.store.records import Event, Exploit, Job, NewTrial, Trial
from workers.assignment import Decision


@dataclass(frozen=True)
class Step:
    """What a running job needs now: suggestions to drop, trials to add, a question for the proposer, paused trials to
    move on, or its end."""

    drop: Sequence[str] = ()
    add: Sequence[NewTrial] = ()
    ask: Request | Conclude | None = None
    moves: Moves = field(default_factory=Moves)
    end: Verdict | None = None


class Agenda(Protocol):
    """What decides about a job of one kind, from the run that it is given. It never touches store or executor."""

    def opening_trials(self) -> list[NewTrial]:
        """The trials that the job begins with."""
        ...

    def assignment(self, run: Run, trial: Trial) -> Work:
        """What a worker is given to do for a claimed trial."""
        ...

    def record(self, run: Run, event: Event) -> Decision:
        """Take in a report; what the trial should do now."""
        ...

    def next(self, run: Run, now: datetime) -> Step:
        """What the job needs now; called again and again while it is running."""
        ...

    def accept(self, run: Run, reply: Reply) -> Refill:
        """What the proposer's answer changes."""
        ...

    def stored(self, trials: Iterable[Trial], evidence: int) -> None:
        """What `accept` added is in the store; it was asked for when `evidence` trials had ended."""
        ...


@dataclass
class Run:
    """Everything about a job that the conductor works with."""

    job: Job
    spec: JobSpec | DesignedSpec
    agenda: Agenda
    packs: Packing
    placement: Placement
    trials: TrialMirror = field(default_factory=TrialMirror)  # of the search or the plan
    confirmations: TrialMirror = field(default_factory=TrialMirror)
    exploits: list[Exploit] = field(default_factory=list)  # oldest first
    silences: Silences = field(default_factory=Silences)
    last_start: int = 0  # grows with every worker that is given out: who had one longest ago comes first

    # The mirror of the store

    def put(self, trial: Trial) -> None:
        """Mirror a trial's present row."""
        (self.trials if trial.confirms is None else self.confirmations).put(trial)
        self.trials.next_number = max(self.trials.next_number, trial.number + 1)
        if trial.state == "completed":
            self.packs.learn(trial)

    def drop(self, trial_id: str) -> None:
        """Forget a trial that is not there any more."""
        self.trials.drop([trial_id])
        self.confirmations.drop([trial_id])

    def find_all(self, trial_ids: Iterable[str]) -> list[Trial]:
        """Those of the trials that are this job's."""
        found = (self.trials.get(trial_id) or self.confirmations.get(trial_id) for trial_id in trial_ids)
        return [trial for trial in found if trial is not None]

    def is_news(self, event: Event) -> bool:
        """Whether a trial's event tells something that the mirror does not show."""
        known = self.confirmations if event.payload["trial_id"] in self.confirmations else self.trials
        return known.is_news(event)

    # Who may start

    @property
    def shape(self) -> Shape:
        """What one of its workers occupies."""
        return self.placement.shape

    @property
    def concurrency(self) -> int:
        """Its trials that may run at once."""
        asked = self.spec.resources.concurrency
        return self.placement.trials if asked == "auto" else asked

    @property
    def running(self) -> int:
        """Trials under way."""
        return self.trials.states["running"] + self.confirmations.states["running"]

    def startable(self) -> int:
        """Trials that could start now, within the job's own concurrency."""
        if self.job.state != "running" or self.spec.resources.executor != "ray":
            return 0
        waiting = len(self.trials.waiting) + len(self.confirmations.waiting)
        return max(0, min(waiting, self.concurrency - self.running))

    def waiting(self) -> list[Trial]:
        """The trials to start, in their order; the search goes before its confirmation."""
        return in_order(self.trials) + in_order(self.confirmations)

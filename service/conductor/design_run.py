"""One leased job that follows a plan, in the conductor's memory: its trials, and what is concluded when they are over.

It has the face of a `JobRun`, so the conductor drives both alike. There is no optimizer and no scheduler: the plan's
trials are queued at once, and each time all of them are over the proposer's process concludes what comes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optimizers.schedulers.contract import Moves
from service.conductor.decisions import Verdict, common_reason, in_order
from service.conductor.mirror import TrialMirror
from service.conductor.placement import Machine, Placement, Shape, place
from service.conductor.proposer import Conclude, Reply
from service.conductor.silence import Silences
from service.conductor.suggestions import Refill
from service.designs.plan import Measured, Plan
from service.designs.registry import plan_of
from service.jobspecs.kinds import DesignedSpec
from service.store.records import Event, Exploit, Job, NewTrial, Trial
from service.store.states import TRIAL_OVER
from workers.assignment import Decision


@dataclass(frozen=True)
class Alone:
    """The rules of packing for planned trials: each trains by itself."""

    ceiling: int = 1

    def key(self, trial: Trial) -> None:
        """It shares a pass with no other."""
        del trial

    def group(self, first: Trial, waiting: Iterable[Trial], room: int, placement: Placement) -> list[Trial]:
        """`first` alone."""
        del waiting, room, placement
        return [first]

    def joining(self, aboard: Sequence[Trial], waiting: Iterable[Trial], placement: Placement) -> None:
        """Nobody joins."""
        del aboard, waiting, placement

    def shrink(self, members: int) -> bool:
        """There is nothing smaller than one."""
        del members
        return False


@dataclass
class DesignRun:
    """Everything about a designed job that the conductor decides from. Rebuilt from the store at any time."""

    job: Job
    spec: DesignedSpec
    plan: Plan
    placement: Placement
    answer: Mapping[str, Any] | None = None  # what is known so far
    trials: TrialMirror = field(default_factory=TrialMirror)
    confirmations: TrialMirror = field(default_factory=TrialMirror)  # stays empty: a plan has its own checks
    silences: Silences = field(default_factory=Silences)
    packs: Alone = field(default_factory=Alone)
    exploits: list[Exploit] = field(default_factory=list)  # stays empty: no scheduler moves planned trials
    last_start: int = 0  # grows with every worker that is given out: who had one longest ago comes first
    _asked: Conclude | None = None
    _done: bool = False
    _broken: str | None = None

    @classmethod
    def of(
        cls, job: Job, spec: DesignedSpec, trials: Iterable[Trial], machine: Machine, answer: Mapping[str, Any] | None
    ) -> DesignRun:
        """Build the run of a job from its stored form."""
        return cls(job, spec, plan_of(spec), place(spec.resources, machine), answer, TrialMirror(trials))

    # The mirror of the store

    def put(self, trial: Trial) -> None:
        """Mirror a trial's present row."""
        self.trials.put(trial)

    def drop(self, trial_id: str) -> None:
        """Forget a trial that is not there any more."""
        self.trials.drop([trial_id])

    def find(self, trial_id: str) -> Trial | None:
        """The trial, if it is one of this job's."""
        return self.trials.get(trial_id)

    def is_news(self, event: Event) -> bool:
        """Whether a trial's event tells something that the mirror does not show."""
        return self.trials.is_news(event)

    def record(self, event: Event) -> Decision:
        """A report; planned trials run to their end."""
        del event
        return "continue"

    # What is next

    @property
    def shape(self) -> Shape:
        """What one of its workers occupies."""
        return self.placement.shape

    @property
    def concurrency(self) -> int:
        """Its trials that may run at once."""
        asked = self.spec.resources.concurrency
        return self.placement.workers if asked == "auto" else asked

    @property
    def running(self) -> int:
        """Trials under way."""
        return self.trials.states["running"]

    def opening_trials(self) -> list[NewTrial]:
        """The trials that the job begins with."""
        return self.plan.opening()

    def startable(self) -> int:
        """Trials that could start now, within the job's own concurrency."""
        if self.job.state != "running" or self.spec.resources.executor != "ray":
            return 0
        return max(0, min(len(self.trials.waiting), self.concurrency - self.running))

    def waiting(self) -> list[Trial]:
        """The trials to start, in their order."""
        return in_order(self.trials)

    def expected_silence(self, trial_ids: Sequence[str]) -> float:
        """Seconds until a worker that trains these speaks again: only what was observed is known."""
        del trial_ids
        return 0.0

    def moves(self) -> Moves:
        """No planned trial is paused."""
        return Moves()

    def assignment(self, trial: Trial) -> Any:
        """What a worker is given to do for a claimed trial."""
        return self.plan.assignment(trial, self._over())

    def ask(self) -> Conclude | None:
        """With all trials over: what to conclude from them."""
        if self.trials.open or self._asked is not None or self._done or self._broken:
            return None
        self._asked = Conclude(self.job.id, self.job.spec, tuple(self._over()), self.answer)
        return self._asked

    def accept(self, reply: Reply) -> Refill:
        """Turn the conclusion into an answer to store and trials to add."""
        if self._asked is None or reply.request is not self._asked:
            return Refill()
        self._asked = None
        if reply.conclusion is None:
            self._broken = reply.error or "nothing was concluded"
            return Refill(notes=(f"no conclusion: {self._broken}",))
        found = reply.conclusion
        self._done, self.answer = not found.more, found.answer
        return Refill(add=found.more, notes=found.notes, answer=found.answer)

    def stored(self, trials: Iterable[Trial], evidence: int) -> None:
        """Trials of the next stage are in the store; there is nothing to remember about them."""

    def spend_time(self, now: datetime) -> list[str] | None:
        """Designed jobs have no wall-clock budget."""
        del now
        return None

    def verdict(self) -> Verdict | None:
        """How the job ends, or None while it goes on."""
        if self.trials.open:
            return None
        if self.trials.states["failed"] == len(self.trials) > 0:
            return Verdict("failed", common_reason(self.trials.values()))
        if self._broken:
            return Verdict("failed", self._broken)
        return Verdict("completed", None) if self._done else None

    def lacking_confirmations(self) -> list[NewTrial]:
        """A plan has its own checks."""
        return []

    def _over(self) -> list[Measured]:
        ended = [trial for trial in self.trials.values() if trial.state in TRIAL_OVER]
        return [Measured.of(trial) for trial in sorted(ended, key=lambda trial: trial.number)]

"""What a job that follows a plan needs next: its trials, and a conclusion from them when all are over.

There is no optimizer and no scheduler: the plan's trials are queued at once, and each time all of them are over the
proposer's process concludes what comes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.conductor.agendas.decisions import Verdict, common_reason
from service.conductor.proposing.proposer import Conclude, Reply
from service.conductor.proposing.ready_queue import Refill
from service.conductor.run import Run, Step
from service.conductor.training.cost_model import CostModel
from service.conductor.training.executor import Work
from service.conductor.training.packs import Alone, Packing, Packs
from service.conductor.training.placement import Machine, place
from service.jobs.kinds import DesignedSpec
from service.jobs.law.plan import LawPlan
from service.jobs.law.spec import LawSpec
from service.jobs.plan import Measured, Plan
from service.jobs.plan_registry import plan_of
from service.jobs.refine.spec import RefineSpec
from service.store.records import Event, Job, NewTrial, Trial
from service.store.states import TRIAL_OVER
from workers.assignment import Decision
from workers.models.description import describe_for


def plan_run(
    job: Job, spec: DesignedSpec, trials: Iterable[Trial], machine: Machine, answer: Mapping[str, Any] | None
) -> Run:
    """The run of a job that follows a plan, from its stored form; `answer` is what is known so far."""
    packs = _packing(spec)
    placement = place(spec.resources, machine, ceiling=packs.ceiling)
    run = Run(job, spec, PlanAgenda(plan_of(spec), answer), packs, placement)
    for trial in trials:
        run.put(trial)
    return run


def _packing(spec: DesignedSpec) -> Packing:
    """Trainings of a law share passes as those of a search do; every proxy is a model of its own, and like the others.
    A step of a refine job may take a hundred times as long as to measure what it begins with."""
    if isinstance(spec, RefineSpec):
        return Alone(silence=None)
    if not isinstance(spec, LawSpec):
        return Alone()
    model = describe_for(spec.task)
    return Packs(LawPlan(spec).assignment, model, CostModel(model))


@dataclass
class PlanAgenda:
    """The `Agenda` of a job that follows a plan."""

    plan: Plan
    answer: Mapping[str, Any] | None = None  # what is known so far
    _asked: Conclude | None = None
    _done: bool = False
    _broken: str | None = None

    def opening_trials(self) -> list[NewTrial]:
        """The trials that the job begins with."""
        return self.plan.opening()

    def assignment(self, run: Run, trial: Trial) -> Work:
        """What a worker is given to do for a claimed trial."""
        return self.plan.assignment(trial, _over(run))

    def record(self, run: Run, event: Event) -> Decision:
        """Planned trials run to their end."""
        del run, event
        return "continue"

    def next(self, run: Run, now: datetime) -> Step:
        """With all trials over: what to conclude from them, or how the job ends."""
        del now  # a plan has no wall-clock budget
        if run.trials.open:
            return Step()
        if (ended := self._verdict(run)) is not None:
            return Step(end=ended)
        if self._asked is not None:
            return Step()
        self._asked = Conclude(run.job.id, run.job.spec, tuple(_over(run)), self.answer)
        return Step(ask=self._asked)

    def _verdict(self, run: Run) -> Verdict | None:
        if run.trials.states["failed"] == len(run.trials) > 0:
            return Verdict("failed", common_reason(run.trials.values()))
        if self._broken:
            return Verdict("failed", self._broken)
        return Verdict("completed", None) if self._done else None

    def accept(self, run: Run, reply: Reply) -> Refill:
        """Turn the conclusion into an answer to store and trials to add."""
        del run
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
        """A plan's next stage is in the store: its trials are in the run from now on."""


def _over(run: Run) -> list[Measured]:
    ended = [trial for trial in run.trials.values() if trial.state in TRIAL_OVER]
    return [Measured.of(trial) for trial in sorted(ended, key=lambda trial: trial.number)]

"""One leased job in the conductor's memory: a mirror of the store, and what optimizer and scheduler make of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optimizers.problem import PastJob, Problem
from optimizers.schedulers.contract import Moves, Point
from service import scheduling
from service.assignments import assignment_of
from service.conductor.confirming import confirmations
from service.conductor.cost_model import CostModel
from service.conductor.decisions import Verdict, in_order, is_replaceable, seconds_active, verdict
from service.conductor.mirror import TrialMirror
from service.conductor.packs import Packs
from service.conductor.placement import Machine, Placement, Shape, place
from service.conductor.proposer import Reply, Request
from service.conductor.seeds import trial_seed
from service.conductor.silence import Silences
from service.conductor.suggestions import Refill, Suggestions
from service.jobspec import JobSpec
from service.problem import build_problem, references
from service.store.records import Event, Exploit, Job, NewTrial, StoredReport, Trial
from service.store.states import TRIAL_OVER
from workers.assignment import Assignment, Decision
from workers.models.description import describe

OUTSIDE_AHEAD = 4
"""Suggestions kept ready for outside workers, whose number nobody knows, beside one for every trial they run."""


@dataclass
class _Reports:
    """The learning curve of a trial up to its latest attempt."""

    attempt: int
    points: list[Point] = field(default_factory=list)


@dataclass
class JobRun:
    """Everything about a job that the conductor decides from. Rebuilt from the store at any time."""

    job: Job
    spec: JobSpec
    problem: Problem
    suggestions: Suggestions
    packs: Packs
    placement: Placement
    trials: TrialMirror = field(default_factory=TrialMirror)  # of the search
    confirmations: TrialMirror = field(default_factory=TrialMirror)
    silences: Silences = field(default_factory=Silences)
    last_start: int = 0  # grows with every worker that is given out: who had one longest ago comes first
    curves: dict[str, _Reports] = field(default_factory=dict)  # by trial
    exploits: list[Exploit] = field(default_factory=list)  # oldest first
    _moved_on: Hashable = None  # what the scheduler was last asked about

    @classmethod
    def of(
        cls,
        job: Job,
        trials: Iterable[Trial],
        reports: Iterable[StoredReport],
        machine: Machine,
        past: tuple[PastJob, ...] = (),
        exploits: Iterable[Exploit] = (),
    ) -> JobRun:
        """Build the run of a job from its stored form; raises what building its problem raises.

        `past` is what alike jobs had found before this one was submitted, for optimizers that begin with it.
        """
        spec = JobSpec.model_validate(job.spec)
        problem = build_problem(spec)
        model = describe(spec.task.model)
        suggestions, packs = Suggestions(spec, job.spec, problem, past), Packs(spec, model, CostModel(model))
        run = cls(job, spec, problem, suggestions, packs, place(spec.resources, machine))
        run.exploits = list(exploits)
        for trial in trials:
            run.put(trial)
        for report in reports:
            run._keep(report.trial_id, report.attempt, Point(report.epoch, report.metrics))
        return run

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

    def find(self, trial_id: str) -> Trial | None:
        """The trial, if it is one of this job's."""
        return self.trials.get(trial_id) or self.confirmations.get(trial_id)

    def is_news(self, event: Event) -> bool:
        """Whether a trial's event tells something that the mirror does not show."""
        known = self.confirmations if event.payload["trial_id"] in self.confirmations else self.trials
        return known.is_news(event)

    # What has been reported

    def record(self, event: Event) -> Decision:
        """Add a reported point to its trial's learning curve; what the scheduler makes of it."""
        told = event.payload
        self._keep(told["trial_id"], told["attempt"], Point(told["epoch"], told["metrics"]))
        if told["trial_id"] not in self.trials:
            return "continue"
        return scheduling.decide(self.spec, self.problem, told["trial_id"], self.trials, self._points())

    def _keep(self, trial_id: str, attempt: int, point: Point) -> None:
        curve = self.curves.setdefault(trial_id, _Reports(attempt))
        if attempt >= curve.attempt:
            curve.points = scheduling.joined(curve.points, point, attempt > curve.attempt)
            curve.attempt = attempt

    def _points(self) -> dict[str, list[Point]]:
        return {trial_id: curve.points for trial_id, curve in self.curves.items()}

    # What is next

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

    @property
    def ahead(self) -> int:
        """Suggestions to keep ready: one for every slot, since all of them may become free at once."""
        if self.spec.resources.executor == "external" and self.spec.resources.concurrency == "auto":
            return self.running + OUTSIDE_AHEAD
        return self.concurrency

    def startable(self) -> int:
        """Trials that could start now, within the job's own concurrency."""
        if self.job.state != "running" or self.spec.resources.executor != "ray":
            return 0
        waiting = len(self.trials.waiting) + len(self.confirmations.waiting)
        return max(0, min(waiting, self.concurrency - self.running))

    def waiting(self) -> list[Trial]:
        """The trials to start, in their order; the search goes before its confirmation."""
        return in_order(self.trials) + in_order(self.confirmations)

    def expected_silence(self, trial_ids: Sequence[str]) -> float | None:
        """Seconds until a worker that trains these speaks again; None when nothing like one of them was measured."""
        costs = self.packs.costs
        configs = [trial.config for trial_id in trial_ids if (trial := self.find(trial_id)) is not None]
        if not all(costs.knows(config) for config in configs):
            return None
        return sum(costs.seconds_per_epoch(config) or 0.0 for config in configs)

    def moves(self) -> Moves:
        """Which paused trials go on or end now; asked again only when something about them has changed."""
        if not self.trials.states["paused"] or self.job.state != "running":
            return Moves()
        going_on = sum(trial.attempt > 0 for trial in self.trials.waiting.values())
        most = self.concurrency
        if self.spec.resources.executor == "external" and self.spec.resources.concurrency == "auto":
            most = self.running + 1  # nobody knows how many workers there are: keep one ready
        slots = max(0, most - self.running - going_on)
        open_ones = (trial for trial in self.trials.values() if trial.state not in TRIAL_OVER)
        present = (self.trials.ended, *sorted((trial.id, trial.attempt, trial.state) for trial in open_ones))
        more = self.suggestions.no_more is None and self.suggestions.broken is None
        if (now := (present, slots, more)) == self._moved_on:
            return Moves()
        self._moved_on = now
        trials, points = self.trials.values(), self._points()
        return scheduling.moves(self.spec, self.problem, trials, points, self.exploits, slots, more)

    def ask(self) -> Request | None:
        """What to ask the optimizer now, if anything."""
        return self.suggestions.request(self.job.id, self.trials, self.ahead, self._epochs)

    def _epochs(self) -> dict[str, float]:
        return {trial_id: curve.points[-1].epoch for trial_id, curve in self.curves.items()}

    def spend_time(self, now: datetime) -> list[str] | None:
        """When the wall-clock budget has just run out: the suggestions that will not be tried. Else None."""
        limit = self.spec.budget.wall_clock
        if limit is None or self.suggestions.no_more or seconds_active(self.trials.values(), now) < limit:
            return None
        self.suggestions.no_more = f"the wall-clock budget of {limit:g} s is spent"
        return [trial.id for trial in self.trials.waiting.values() if is_replaceable(trial)]

    def verdict(self) -> Verdict | None:
        """How the search ends, or None while it goes on."""
        asked = self.suggestions
        return verdict(self.trials, self.spec, asked.no_more, asked.broken)

    def opening_trials(self) -> list[NewTrial]:
        """The trials that the search starts with."""
        return reference_trials(self.spec)

    def assignment(self, trial: Trial) -> Assignment:
        """What a worker is given to train."""
        return assignment_of(self.spec, trial)

    def accept(self, reply: Reply) -> Refill:
        """What the optimizer's answer changes."""
        return self.suggestions.accept(reply, self.trials)

    def stored(self, trials: Iterable[Trial], evidence: int) -> None:
        """Suggestions are in the store, asked for when `evidence` trials had ended."""
        self.suggestions.stored(trials, evidence)

    def lacking_confirmations(self) -> list[NewTrial]:
        """What is left to confirm of a search that is over."""
        return confirmations(self.spec, self.trials.values(), self.confirmations.values())


def reference_trials(spec: JobSpec) -> list[NewTrial]:
    """The trials that every search starts with, so that its front shows what the search gained."""
    labelled: Sequence[tuple[str, dict[str, Any]]] = references(spec, describe(spec.task.model))
    return [
        NewTrial(dict(config), "reference", trial_seed(spec.seed, number), label)
        for number, (label, config) in enumerate(labelled[: spec.budget.trials])
    ]

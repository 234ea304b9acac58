"""What a search needs next: what its optimizer and its scheduler make of the trials and their reports."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from optimizers.problem import PastJob, Problem
from optimizers.schedulers.contract import Moves, Point
from service.conductor.agendas.decisions import Verdict, seconds_active, verdict
from service.conductor.proposing.proposer import Reply
from service.conductor.proposing.ready_queue import Refill, Suggestions
from service.conductor.run import Run, Step
from service.conductor.training.cost_model import CostModel
from service.conductor.training.executor import Work
from service.conductor.training.packs import Alone, Packing, Packs
from service.conductor.training.placement import Machine, place
from service.jobs.assignments import assignment_of, work_of
from service.jobs.search import scheduling
from service.jobs.search.confirming import confirmations
from service.jobs.search.problem import build_problem, model_of, references
from service.jobs.search.spec import JobSpec
from service.jobs.seeds import trial_seed
from service.store.records import Event, Exploit, Job, NewTrial, StoredReport, Trial
from service.store.states import TRIAL_OVER
from workers.assignment import Decision

OUTSIDE_AHEAD = 4
"""Suggestions kept ready for outside workers, whose number nobody knows, beside one for every trial they run: at least
so many."""


def search_run(
    job: Job,
    trials: Iterable[Trial],
    reports: Iterable[StoredReport],
    machine: Machine,
    past: tuple[PastJob, ...] = (),
    exploits: Iterable[Exploit] = (),
) -> Run:
    """The run of a search from its stored form; raises what building its problem raises.

    `past` is what alike jobs had found before this one was submitted, for optimizers that begin with it.
    """
    spec = JobSpec.model_validate(job.spec)
    problem, model = build_problem(spec), model_of(spec)
    agenda = SearchAgenda(spec, problem, Suggestions(spec, job.spec, problem, past))
    packs: Packing = Alone(silence=spec.task.longest_attempt())
    if model is not None:
        packs = Packs(partial(assignment_of, spec), model, CostModel(model))
    run = Run(job, spec, agenda, packs, place(spec.resources, machine), exploits=list(exploits))
    for trial in trials:
        run.put(trial)
    for report in reports:
        agenda.reported.add(report.trial_id, report.attempt, Point(report.epoch, report.metrics))
    return run


@dataclass
class SearchAgenda:
    """The `Agenda` of a search."""

    spec: JobSpec
    problem: Problem
    suggestions: Suggestions
    reported: scheduling.Reported = field(default_factory=scheduling.Reported)
    _moved_on: Hashable = None  # what the scheduler was last asked about

    def opening_trials(self) -> list[NewTrial]:
        """The trials that the search starts with, so that its front shows what was gained."""
        labelled: Sequence[tuple[str, dict[str, Any]]] = references(self.spec, model_of(self.spec))
        return [
            NewTrial(dict(config), "reference", trial_seed(self.spec.seed, number), label)
            for number, (label, config) in enumerate(labelled[: self.spec.budget.trials])
        ]

    def assignment(self, run: Run, trial: Trial) -> Work:
        """What a worker is given to train."""
        del run
        return work_of(self.spec, trial)

    # What has been reported

    def record(self, run: Run, event: Event) -> Decision:
        """Add a reported point to its trial's learning curve; what the scheduler makes of it."""
        told = event.payload
        self.reported.add(told["trial_id"], told["attempt"], Point(told["epoch"], told["metrics"]))
        if told["trial_id"] not in run.trials:
            return "continue"
        return scheduling.decide(self.spec, self.problem, told["trial_id"], run.trials, self.reported.points)

    def _epochs(self) -> dict[str, float]:
        return {trial_id: points[-1].epoch for trial_id, points in self.reported.points.items()}

    # What is next

    def next(self, run: Run, now: datetime) -> Step:
        """Drop what there is no time for, confirm and end what is over, else ask the optimizer and the scheduler."""
        if late := self._late(run, now):
            return Step(drop=late)
        ended = verdict(run.trials, self.spec, self.suggestions.no_more, self.suggestions.broken)
        if ended is not None:
            return self._conclude(run, ended)
        asked = self.suggestions.request(run.job.id, run.trials, self._ahead(run), self._epochs)
        return Step(ask=asked, moves=self._moves(run))

    def _late(self, run: Run, now: datetime) -> list[str]:
        """The suggestions that will not be tried because the wall-clock budget is spent."""
        limit = self.spec.budget.wall_clock
        if limit is None:
            return []
        self.suggestions.budget_left = max(0.0, 1.0 - seconds_active(run.trials.values(), now) / limit)
        if self.suggestions.budget_left > 0:
            return []
        self.suggestions.no_more = self.suggestions.no_more or f"the wall-clock budget of {limit:g} s is spent"
        return [trial.id for trial in run.trials.waiting.values() if trial.replaceable]

    def _conclude(self, run: Run, ended: Verdict) -> Step:
        """Confirm what the search found where the job asks for that, then end the job."""
        if run.confirmations.open:
            return Step()
        if ended.state == "completed" and (
            lack := confirmations(self.spec, run.trials.values(), run.confirmations.values())
        ):
            return Step(add=lack)
        return Step(end=ended)

    def _ahead(self, run: Run) -> int:
        """Suggestions to keep ready: one for every slot, since all of them may become free at once; for workers that
        nobody has counted, as many as they have been seen to take."""
        if not self._unknown_workers:
            return run.concurrency
        return max(run.running + OUTSIDE_AHEAD, self.suggestions.demand)

    def _moves(self, run: Run) -> Moves:
        """Which paused trials go on or end now; asked again only when something about them has changed."""
        if not run.trials.states["paused"]:
            return Moves()
        going_on = sum(trial.attempt > 0 for trial in run.trials.waiting.values())
        most = run.running + 1 if self._unknown_workers else run.concurrency  # one outside worker may be waiting
        slots = max(0, most - run.running - going_on)
        open_ones = (trial for trial in run.trials.values() if trial.state not in TRIAL_OVER)
        present = (run.trials.ended, *sorted((trial.id, trial.attempt, trial.state) for trial in open_ones))
        more = self.suggestions.no_more is None and self.suggestions.broken is None
        if (now := (present, slots, more)) == self._moved_on:
            return Moves()
        self._moved_on = now
        points = self.reported.points
        return scheduling.moves(self.spec, self.problem, run.trials.values(), points, run.exploits, slots, more)

    @property
    def _unknown_workers(self) -> bool:
        resources = self.spec.resources
        return resources.executor == "external" and resources.concurrency == "auto"

    def accept(self, run: Run, reply: Reply) -> Refill:
        """What the optimizer's answer changes."""
        return self.suggestions.accept(reply, run.trials)

    def stored(self, trials: Iterable[Trial], evidence: int) -> None:
        """Suggestions are in the store, asked for when `evidence` trials had ended."""
        self.suggestions.stored(trials, evidence)

"""What a job's scheduler makes of its reports: one rule for Ray's workers and for outside ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from optimizers.problem import Problem
from optimizers.schedulers.contract import Budget, Curve, Moves, PausingScheduler, Point, Standing, StoppingScheduler
from optimizers.schedulers.registry import scheduler
from service.jobs.search.spec import JobSpec
from service.store.records import Exploit, Trial, TrialOrigin
from workers.assignment import Decision

UNSCHEDULED: frozenset[TrialOrigin] = frozenset({"reference", "confirmation"})
"""Trials that run to their end: what the search is measured against, and what confirms it."""


@dataclass
class Reported:
    """The learning curve of each trial that has reported, up to its latest attempt."""

    points: dict[str, list[Point]] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)

    def add(self, trial_id: str, attempt: int, point: Point) -> None:
        """Take in a report; one of an attempt that was given up tells nothing."""
        last = self._attempts.get(trial_id, attempt)
        if attempt >= last:
            self.points[trial_id] = joined(self.points.get(trial_id, ()), point, attempt > last)
            self._attempts[trial_id] = attempt


class _Curves(Mapping[str, Curve]):
    """The curves of the trials that have reported, each made when it is looked at: most reports come where a scheduler
    looks at one trial alone, and to make all of them would cost more with every trial of the job."""

    def __init__(self, trials: Mapping[str, Trial], points: Mapping[str, Sequence[Point]]) -> None:
        self._trials, self._points = trials, points
        self._made: dict[str, Curve] = {}

    def __getitem__(self, id: str) -> Curve:
        if id not in self._made:
            self._made[id] = Curve(tuple(self._points[id]), self._trials[id].config)
        return self._made[id]

    def __iter__(self) -> Iterator[str]:
        return (id for id in self._points if id in self._trials)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def decide(
    spec: JobSpec,
    problem: Problem,
    trial_id: str,
    trials: Mapping[str, Trial],
    points: Mapping[str, Sequence[Point]],
) -> Decision:
    """What the trial, whose latest report ends its points, should do now.

    `points` are as `joined` gives them.
    """
    if spec.scheduler.name == "none" or trials[trial_id].origin in UNSCHEDULED:
        return "continue"
    chosen = scheduler(spec.scheduler.name, **spec.scheduler.options)
    return chosen.decide(trial_id, _Curves(trials, points), problem, spec.budget.epochs)


def pause_every(spec: JobSpec, trial: Trial) -> float | None:
    """Epochs after which the trial pauses for its scheduler; None when it trains without a break."""
    chosen = scheduler(spec.scheduler.name, **spec.scheduler.options)
    if not isinstance(chosen, PausingScheduler) or trial.origin in UNSCHEDULED:
        return None
    return chosen.slice(spec.budget.epochs)


def report_at(spec: JobSpec, trial: Trial) -> tuple[float, ...]:
    """Epochs at which the trial reports because its scheduler looks there. Reference trials report there, too: they are
    among the peers that a trial is judged by."""
    chosen = scheduler(spec.scheduler.name, **spec.scheduler.options)
    if not isinstance(chosen, StoppingScheduler) or trial.origin == "confirmation":
        return ()
    return chosen.looks(spec.budget.epochs)


def awaits_decision(spec: JobSpec, trial: Trial) -> bool:
    """Whether the trial goes on behind a report only when its scheduler has said so."""
    chosen = scheduler(spec.scheduler.name, **spec.scheduler.options)
    return isinstance(chosen, StoppingScheduler) and trial.origin not in UNSCHEDULED


def moves(
    spec: JobSpec,
    problem: Problem,
    trials: Iterable[Trial],
    points: Mapping[str, Sequence[Point]],
    exploits: Iterable[Exploit],
    slots: int,
    more: bool,
) -> Moves:
    """Which paused trials go on or end now. `more`: further trials may be proposed within the budget.

    Schedulers that never pause let every paused trial go on: an outside worker paused it for reasons of its own.
    """
    chosen = scheduler(spec.scheduler.name, **spec.scheduler.options)
    everyone = list(trials)
    if not isinstance(chosen, PausingScheduler):
        return Moves(resume={trial.id: None for trial in everyone if trial.state == "paused"})
    references = sum(trial.origin == "reference" for trial in everyone)
    members = [trial for trial in everyone if trial.origin != "reference"]
    paused = [trial for trial in members if trial.state == "paused"]
    fresh = {trial.id: trial.config for trial in members if trial.state == "queued" and trial.attempt == 0}
    earlier: dict[str, list[tuple[float, Mapping[str, object]]]] = {}
    for one in exploits:
        earlier.setdefault(one.trial_id, []).append((one.epoch, one.previous))
    curves = {
        trial.id: Curve(tuple(points[trial.id]), trial.config, tuple(earlier.get(trial.id, ())))
        for trial in members
        if trial.id in points and trial.state != "failed"
    }
    standing = Standing(
        curves=curves,
        paused=frozenset(trial.id for trial in paused),
        donors=frozenset(trial.id for trial in paused if trial.checkpoint is not None),
        active=frozenset(
            trial.id for trial in members if trial.state in ("queued", "running") and trial.id not in fresh
        ),
        fresh=fresh,
        to_come=spec.budget.trials - len(everyone) if more else 0,
        slots=slots,
        budget=Budget(spec.budget.trials - references, spec.budget.epochs),
        seed=spec.seed,
    )
    return chosen.moves(standing, problem)


def joined(points: Sequence[Point], point: Point, further_attempt: bool) -> list[Point]:
    """A trial's learning curve with a newly reported point.

    A further attempt goes on from a checkpoint, or from nothing: what it reports replaces what earlier attempts
    reported from there on. Within an attempt only points beyond the last count.
    """
    if further_attempt:
        return [*(old for old in points if old.epoch < point.epoch), point]
    return [*points, point] if not points or points[-1].epoch < point.epoch else list(points)

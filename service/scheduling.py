"""What a job's scheduler makes of a report: one rule for Ray's workers and for outside ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optimizers.problem import Problem
from optimizers.schedulers.contract import Curve, Point
from optimizers.schedulers.registry import scheduler
from service.jobspec import JobSpec
from service.store.records import Trial
from workers.assignment import Decision


def decide(
    spec: JobSpec,
    problem: Problem,
    trial_id: str,
    trials: Mapping[str, Trial],
    points: Mapping[str, Sequence[Point]],
) -> Decision:
    """What the trial, whose latest report ends its points, should do now.

    `points` are those of each trial's latest attempt. Reference trials run to their end: a front without them would
    not show what the search gained.
    """
    if spec.scheduler.name == "none" or trials[trial_id].origin == "reference":
        return "continue"
    curves = {id: Curve(tuple(reached), trials[id].config) for id, reached in points.items() if id in trials}
    chosen = scheduler(spec.scheduler.name, **spec.scheduler.options)
    return chosen.decide(trial_id, curves, problem, spec.budget.epochs)

"""Pareto fronts of jobs, kept up to date trial by trial.

A new trial can only join the front and push others off it; whoever is off the front stays off. So a finished trial
is compared with the present front alone, and only a change of objectives or constraints computes it afresh.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sqlalchemy import Connection, bindparam, select, update

from optimizers.pareto import non_dominated
from service.errors import NotFound
from service.store.events import NewEvent
from service.store.records import Trial
from service.store.rows import JOBS, TRIAL_COLUMNS, TRIALS, trial_of


@dataclass(frozen=True)
class Goals:
    """What decides whether a trial is on the front: `signs` turns each objective into one to minimise."""

    signs: Mapping[str, float]
    bounds: tuple[tuple[str, float | None, float | None], ...]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Read the `objectives` and `constraints` of a JobSpec in JSON form."""
        signs = {o["metric"]: -1.0 if o["direction"] == "maximize" else 1.0 for o in spec.get("objectives", ())}
        bounds = tuple((c["metric"], c.get("min"), c.get("max")) for c in spec.get("constraints", ()))
        return cls(signs, bounds)

    def point(self, metrics: Mapping[str, float]) -> list[float] | None:
        """The trial's objectives to minimise `[m]`; None when one was not measured or a constraint is not met."""
        if not self.signs or any(metric not in metrics for metric in self.signs):
            return None
        for metric, low, high in self.bounds:
            value = metrics.get(metric)
            if value is None or (low is not None and value < low) or (high is not None and value > high):
                return None
        return [sign * metrics[metric] for metric, sign in self.signs.items()]


@dataclass(frozen=True)
class FrontChange:
    """Who joined and who left a front that now has `size` members."""

    joined: tuple[str, ...]
    left: tuple[str, ...]
    size: int

    @property
    def size_change(self) -> int:
        """By how many members the front grew."""
        return len(self.joined) - len(self.left)

    def events(self, job_id: str) -> list[NewEvent]:
        """One event when anything changed."""
        if not self.joined and not self.left:
            return []
        payload = {"joined": list(self.joined), "left": list(self.left), "size": self.size}
        return [NewEvent(job_id, "front", payload)]


_MEMBERS = select(TRIALS.c.id, TRIALS.c.metrics).where(TRIALS.c.job_id == bindparam("job"), TRIALS.c.on_front)
_COMPLETED = select(TRIALS.c.id, TRIALS.c.metrics, TRIALS.c.on_front).where(
    TRIALS.c.job_id == bindparam("job"), TRIALS.c.state == "completed", TRIALS.c.confirms.is_(None)
)
_FRONT = select(*TRIAL_COLUMNS).where(TRIALS.c.job_id == bindparam("job"), TRIALS.c.on_front).order_by(TRIALS.c.number)
_SPEC = select(JOBS.c.spec).where(JOBS.c.id == bindparam("job"))


def challenge(
    connection: Connection, job_id: str, goals: Goals, trial_id: str, metrics: Mapping[str, float]
) -> FrontChange:
    """Compare a finished trial with the front and take off it whom the trial dominates. The caller stores `joined`."""
    point = goals.point(metrics)
    members = connection.execute(_MEMBERS, {"job": job_id}).all()
    if point is None:
        return FrontChange((), (), len(members))
    points = [goals.point(member.metrics) or [np.inf] * len(point) for member in members]
    stays = non_dominated(np.array([*points, point], dtype=np.float64))
    left = tuple(member.id for member, stay in zip(members, stays[:-1], strict=True) if not stay)
    _set_flags(connection, left, False)
    joined = (trial_id,) if stays[-1] else ()
    return FrontChange(joined, left, len(members) + len(joined) - len(left))


def recompute(connection: Connection, job_id: str, goals: Goals) -> FrontChange:
    """Compute the front from every completed trial and store it."""
    rows = connection.execute(_COMPLETED, {"job": job_id}).all()
    points = {row.id: point for row in rows if (point := goals.point(row.metrics)) is not None}
    mask = non_dominated(np.array(list(points.values()), dtype=np.float64)) if points else ()
    front = {id for id, member in zip(points, mask, strict=True) if member}
    before = {row.id for row in rows if row.on_front}
    joined, left = tuple(sorted(front - before)), tuple(sorted(before - front))
    _set_flags(connection, joined, True)
    _set_flags(connection, left, False)
    return FrontChange(joined, left, len(front))


def _set_flags(connection: Connection, ids: Sequence[str], on_front: bool) -> None:
    if ids:
        connection.execute(update(TRIALS).where(TRIALS.c.id.in_(ids)).values(on_front=on_front))


def front(connection: Connection, job_id: str) -> tuple[Trial, ...]:
    """The trials on the front, best first by the first objective; raises NotFound when there is no such job."""
    spec = connection.execute(_SPEC, {"job": job_id}).scalar_one_or_none()
    if spec is None:
        raise NotFound("job", job_id)
    trials = [trial_of(row) for row in connection.execute(_FRONT, {"job": job_id})]
    if trials:
        metric, sign = next(iter(Goals.of(spec).signs.items()))
        trials.sort(key=lambda trial: sign * trial.metrics.get(metric, math.inf * sign))
    return tuple(trials)

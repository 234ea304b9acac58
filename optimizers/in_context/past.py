"""What past jobs measured, as far as it has a place in this job's space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizers.evidence import minimised
from optimizers.gp.features import feature_map
from optimizers.in_context.lessons import Lessons, surface
from optimizers.novelty import sampled
from optimizers.problem import PastJob, Problem
from search_spaces.space import Space

FEWEST = 10  # trials of a job that tell a surface


@dataclass(frozen=True)
class Table:
    """One past job's measurements of one objective, minimised."""

    job: str
    likeness: float
    metric: int  # place among `Past.metrics`
    encoded: bytes  # [n, d] float64: the encoding of its configurations
    values: tuple[float, ...]  # [n]


@dataclass(frozen=True)
class Past:
    """Tables of the objectives `metrics` that have to be foretold; hashable, so that what is learnt can be kept."""

    space: Space
    metrics: tuple[int, ...]
    tables: tuple[Table, ...]
    too_little: str | None  # why nothing can be learnt

    def named(self, jobs: Sequence[PastJob]) -> str:
        """The jobs that are learnt from, for a note."""
        used = {table.job for table in self.tables}
        return ", ".join(f"{job.id} ({job.likeness:.2f} alike)" for job in jobs if job.id in used)

    def lessons(self, pool: int, rng: np.random.Generator) -> Lessons:
        """Tasks over `pool` random configurations and those of past jobs."""
        shown = feature_map(self.space)
        own = [self.space.decode(_points(table, self.space)) for table in self.tables]
        features = [shown(configs) for configs in own]
        every = np.unique(np.concatenate([shown(sampled(self.space, pool, rng)), *features]), axis=0)
        surfaces = [
            surface(every, shown.groups, table.metric, table.likeness, rows, np.array(table.values))
            for table, rows in zip(self.tables, features, strict=True)
        ]
        return Lessons(every, shown.groups, surfaces, len(self.metrics))


def _points(table: Table, space: Space) -> np.ndarray:
    return np.frombuffer(table.encoded).reshape(len(table.values), space.dimensions)


def past_of(problem: Problem, jobs: Sequence[PastJob]) -> Past:
    """Sort out what `jobs` measured of the objectives that are not known."""
    metrics = tuple(j for j, one in enumerate(problem.objectives) if one.metric not in problem.known)
    tables = [table for job in jobs for table in _tables(problem, metrics, job)]
    lacking = [
        problem.objectives[j].metric
        for place, j in enumerate(metrics)
        if all(table.metric != place for table in tables)
    ]
    too_little = None
    if not metrics or not problem.space.dimensions:
        too_little = "there is nothing to foretell"
    elif lacking:
        too_little = f"no past job on an alike task has measured {', '.join(lacking)} {FEWEST} times in this space"
    return Past(problem.space, metrics, tuple(tables), too_little)


def _tables(problem: Problem, metrics: Sequence[int], job: PastJob) -> list[Table]:
    carried = [(problem.space.carry_over(trial.config), trial.metrics) for trial in job.trials]
    rows = [
        (config, minimised(problem, config, measured, problem.known))
        for config, measured in carried
        if config is not None
    ]
    found = []
    for place, j in enumerate(metrics):
        told = [(config, values[j]) for config, values in rows if math.isfinite(values[j])]
        if len(told) >= FEWEST and len({value for _, value in told}) > 1:
            encoded = problem.space.encode([config for config, _ in told]).values
            values = tuple(value for _, value in told)
            found.append(Table(job.id, job.likeness, place, encoded.astype(np.float64).tobytes(), values))
    return found

"""The `transfer` optimizer: begins with what won on the most alike past jobs, then goes on as `gp`.

Past jobs arrive with the history, as data. Accuracies of different tasks do not compare, so a past job only says which
of its configurations were on its own front; a configuration has to earn its place here by being tried first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, ClassVar

import numpy as np

from optimizers.designs import closed
from optimizers.errors import BadOption
from optimizers.evidence import holds, minimised, value_of
from optimizers.gp.optimizer import GaussianProcessSearch
from optimizers.novelty import Novelty
from optimizers.pareto import crowding, non_domination_ranks
from optimizers.problem import Config, History, PastJob, PendingTrial, Problem, Proposal
from search_spaces.space import config_hash


@dataclass(frozen=True)
class TransferSearch:
    """The winners of past jobs first, then `gp`.

    Args:
        starts: winners that are tried before anything else, fewer when past jobs offer fewer.
        seed: as of `gp`.
    """

    starts: int = 5
    seed: int = 0
    name: ClassVar[str] = "transfer"

    def __post_init__(self) -> None:
        if self.starts < 1:
            raise BadOption("starts", self.starts, "at least 1")

    def propose(self, problem: Problem, history: History, n: int, rng: np.random.Generator) -> Proposal:
        """See `optimizers.problem.Optimizer`. Says in a note, until something is measured, what it begins with."""
        won = winners(problem, history.past, self.starts)
        taken = Novelty(history).take(won, n)
        asked = [PendingTrial(f"winner-{index}", config) for index, config in enumerate(taken)]
        rest = GaussianProcessSearch(seed=self.seed).propose(
            problem, replace(history, pending=(*history.pending, *asked)), n - len(taken), rng
        )
        notes = () if history.completed or history.stopped else (_begins_with(history.past, won),)
        return Proposal(closed([*taken, *rest.configs], n).configs, (*notes, *rest.notes))


def winners(problem: Problem, past: Sequence[PastJob], most: int) -> list[dict[str, Any]]:
    """At most `most` configurations of the space that did best in `past` jobs: one from each job in turn, the most
    alike job first, and within a job the loneliest on its front first, so that few of them show all of it."""
    found: dict[str, dict[str, Any]] = {}
    by_job = [_best_of(problem, job) for job in past]
    for turn in zip_longest(*by_job):
        for config in turn:
            if config is not None and len(found) < most:
                found.setdefault(config_hash(config), config)
    return list(found.values())


def _best_of(problem: Problem, job: PastJob) -> Iterator[dict[str, Any]]:
    """The job's configurations that have a place in the space and whose objectives were measured, best first."""
    configs: list[Config] = []
    rows: list[list[float]] = []
    for trial in job.trials:
        config = problem.space.carry_over(trial.config)
        if config is None:
            continue
        values = minimised(problem, config, trial.metrics, problem.known)
        limited = [value_of(item.metric, config, trial.metrics, problem.known) for item in problem.constraints]
        if all(map(math.isfinite, values)) and holds(problem.constraints, limited):
            configs.append(config)
            rows.append(values)
    if not configs:
        return
    objectives = np.array(rows)
    ranks = non_domination_ranks(objectives)
    for rank in range(int(ranks.max()) + 1):
        front = np.flatnonzero(ranks == rank)
        for index in front[np.argsort(-crowding(objectives[front]), kind="stable")]:
            yield dict(configs[index])


def _begins_with(past: Sequence[PastJob], won: Sequence[Config]) -> str:
    if not won:
        return "transfer: no past job on an alike task has results in this space; behaves as auto"
    jobs = ", ".join(f"{job.id} ({job.likeness:.2f} alike)" for job in past)
    return f"transfer: begins with {len(won)} configurations that won in past jobs: {jobs}"

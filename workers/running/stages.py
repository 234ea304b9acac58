"""The stages of a trial whose tasks are learnt one after another, and the rows of earlier ones that it keeps.

A memory of so many rows holds classes evenly, whatever they are of, and whatever it gave up stays given up: with each
task it keeps a part of what it had and of the task before. Imports no torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.data.splits import balanced_sample
from workers.engines.stages import Stages
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.methods.declaration.method import Method
from workers.tasks.criterion import Criterion


def check_replay(hyperparameters: Hyperparameters, method: Method) -> None:
    """Raise `InvalidInput` where rows are kept for a method that learns nothing from them."""
    if hyperparameters.replay and method.by_stage:
        allowed = "0: what it has learnt of earlier tasks is frozen, and selects itself"
        raise InvalidInput("replay", f"{hyperparameters.replay} with {method.name}", allowed)


def stages_of(
    criterion: Criterion, targets: NDArray[Any], hyperparameters: Hyperparameters, seed: int
) -> Stages | None:
    """The stages of training rows with these `targets` [rows]; None where all rows train together."""
    tasks, compare = criterion.tasks, criterion.over_tasks
    if tasks is None or compare is None:
        if hyperparameters.replay:
            raise InvalidInput("replay", hyperparameters.replay, "0, or tasks that are learnt one after another")
        return None
    rows = tuple(
        np.concatenate([memory(tasks, targets, number, hyperparameters.replay, seed), np.flatnonzero(tasks == number)])
        for number in range(int(tasks.max()) + 1)
    )
    return Stages(rows, compare)


def memory(tasks: NDArray[np.int64], targets: NDArray[Any], task: int, size: int, seed: int) -> NDArray[np.int64]:
    """The places of at most `size` rows of tasks before `task`, evenly of their classes, ascending."""
    earlier = np.flatnonzero(tasks < task)
    if not size or not len(earlier):
        return np.zeros(0, dtype=np.int64)
    return earlier[balanced_sample(targets[earlier], size, seed)]

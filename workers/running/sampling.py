"""How often rows of several tasks come: in proportion to the rows of each to a power, or as a mixture says.

With n_t rows, task t has the share n_t^τ / Σ n^τ (τ = 1: every row once an epoch; τ = 0: every task alike), as
such training is usually tempered. An epoch stays as long as it is. Imports no torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.tasks.criterion import Criterion


def times_of(criterion: Criterion, hyperparameters: Hyperparameters) -> NDArray[np.float64] | None:
    """How often each training row comes in an epoch [rows], in the mean; None: once. Raises `InvalidInput`."""
    tasks, weights, power = criterion.tasks, hyperparameters.task_weights, hyperparameters.task_sampling
    if not weights and power == 1:
        return None
    named = "task_weights" if weights else "task_sampling"
    if tasks is None:
        raise InvalidInput(named, weights or power, "a task of several tasks")
    if hyperparameters.batch_tokens:
        allowed = "0: rows are drawn anew for each epoch, and batches of so many tokens are the same in all"
        raise InvalidInput("batch_tokens", f"{hyperparameters.batch_tokens} with {named}", allowed)
    rows = np.bincount(tasks)
    if weights and len(weights) != len(rows):
        raise InvalidInput("task_weights", list(weights), f"{len(rows)} numbers, one for each task")
    shares = np.array(weights, dtype=np.float64) if weights else rows.astype(np.float64) ** power
    if not (shares >= 0).all() or shares.sum() <= 0:
        raise InvalidInput("task_weights", list(weights), "numbers from 0, not all of them 0")
    times: NDArray[np.float64] = (shares / shares.sum() * len(tasks) / rows)[tasks]
    return times

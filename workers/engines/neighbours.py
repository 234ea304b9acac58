"""Training rows as a trial's model sees them now, looked up where it is measured and kept where it is exported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workers.engines.inputs import Inputs
from workers.engines.passes import Pass, WholePass, evaluation_batches
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached
from workers.methods.neighbours import Memory, looking_up


@contextmanager
def beside_neighbours(attached: Attached, train: Pass, hyperparameters: Hyperparameters) -> Iterator[Memory]:
    """Inside, the logits of a model in evaluation mode are those of its classifier and its neighbours together."""

    @torch.no_grad()
    def batches() -> Iterator[tuple[Any, Tensor]]:
        for rows in evaluation_batches(train):
            yield train.outputs(rows), train.inputs.targets(rows)

    count, share = hyperparameters.neighbours, hyperparameters.neighbour_share
    with looking_up(attached.model, attached.heads(), batches(), count, share) as memory:
        yield memory


def keep_neighbours(folder: Path, attached: Attached, train: Inputs, hyperparameters: Hyperparameters) -> None:
    """Write what an exported adapter looks up beside it."""
    attached.set_training(False)
    with beside_neighbours(attached, WholePass(attached.model, train), hyperparameters) as memory:
        memory.save(folder, list(attached.heads()))
    attached.set_training(True)

"""A linear layer with a low-rank update for all tasks and another one for each of them. Needs torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from workers.methods.forms.reweighted import in_float32, uniform
from workers.models.row_tasks import RowTasks


class TaskLora(nn.Module):
    """y = Wx + b + s·(B₀A₀x + B_tA_tx) with t the task of the row.

    A₀ `first` [r, in] and B₀ `second` [out, r] are missing at rank 0; A_t and B_t are entries of `task_first`
    [downs, r_t, in] and `task_second` [ups, out, r_t]. Of either there is one for each task, or one for all. All B are
    zero at the start. A row reaches no entry of another task: the gradients of these are exactly zero.
    """

    def __init__(
        self,
        original: nn.Module,
        sides: tuple[int, int],
        ranks: tuple[int, int],
        entries: tuple[int, int],
        scale: float,
        tasks: RowTasks,
        draw: torch.Generator,
    ) -> None:
        super().__init__()
        (inputs, outputs), (rank, own), (downs, ups) = sides, ranks, entries
        bound = 1 / math.sqrt(inputs)
        self.original, self.scaling, self._tasks = original, scale, (tasks,)  # in a tuple: it is no part of this module
        if rank:
            self.first = nn.Parameter(uniform((rank, inputs), bound, draw))
            self.second = nn.Parameter(torch.zeros(outputs, rank))
        if own:
            self.task_first = nn.Parameter(uniform((downs, own, inputs), bound, draw))
            self.task_second = nn.Parameter(torch.zeros(ups, outputs, own))
        self._rank, self._own = rank, own

    def trained(self) -> dict[str, nn.Parameter]:
        """What is trained by name."""
        return {name: value for name, value in self.named_parameters() if not name.startswith("original.")}

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [rows, length, in] to outputs [rows, length, out]."""
        seen, outputs = in_float32(inputs), self.original(inputs)
        if self._rank:
            update = linear(linear(seen, self.first), self.second)
            outputs = outputs + (self.scaling * update).to(inputs.dtype)
        if self._own:
            update = (seen @ self._of_rows(self.task_first).mT) @ self._of_rows(self.task_second).mT
            outputs = outputs + (self.scaling * update).to(inputs.dtype)
        return outputs  # type: ignore[no-any-return]

    def _of_rows(self, factors: Tensor) -> Tensor:
        """Of factors [entries, …] each row's [rows, …], or the one [1, …] that all rows have."""
        numbers = self._tasks[0].numbers
        return factors if len(factors) == 1 or numbers is None else factors[numbers]

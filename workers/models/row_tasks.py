"""Whose task each row of a batch is, for adapters that compute differently for the tasks. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

TASK_IDS = "task_ids"
"""The input `[rows]` of an adapted model that numbers the tasks of its rows."""
_NAME = "row_tasks"
TASK_SEQUENCE = "task_sequence"
"""The part of a model that selects the tasks of its rows by itself."""


class RowTasks(nn.Module):
    """The numbers of the current batch's tasks, as the model is called with them under `task_ids`.

    They stay until the next call: layers that are computed again for their gradients read them a second time. With one
    task alone they may be left out.
    """

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.tasks = tasks
        self.numbers: Tensor | None = None

    def watch(self, model: nn.Module) -> None:
        """Become a part of the model, which takes `task_ids` from now on."""
        model.add_module(_NAME, self)
        model.register_forward_pre_hook(self._note, with_kwargs=True)

    def _note(
        self, _model: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        own = dict(options)
        given = own.pop(TASK_IDS, None)
        rows = next(len(one) for one in (*arguments, *own.values()) if isinstance(one, Tensor))
        self.numbers = None if given is None and self.tasks == 1 else self._checked(given, rows)
        return arguments, own

    def _checked(self, given: Any, rows: int) -> Tensor:
        allowed = f"for each of the {rows} rows the number of its task, 0 to {self.tasks - 1}"
        if not isinstance(given, Tensor):
            raise ValueError(f"{TASK_IDS}: found {given!r}, allowed: a tensor, {allowed}")
        if given.shape != (rows,):
            raise ValueError(f"{TASK_IDS}: found a tensor of shape {list(given.shape)}, allowed: {allowed}")
        # On a GPU a look would wait for it in every pass, and the lookup says so by itself.
        if given.device.type == "cpu" and not bool(((given >= 0) & (given < self.tasks)).all()):
            raise ValueError(f"{TASK_IDS}: found {given.tolist()}, allowed: {allowed}")
        return given


def asks_tasks(model: nn.Module) -> bool:
    """Whether a model has an adapter on it that must be told the tasks of its rows."""
    return hasattr(model, _NAME)


def knows_tasks(model: nn.Module) -> bool:
    """Whether a model has an adapter on it that is made for so many tasks."""
    return asks_tasks(model) or hasattr(model, TASK_SEQUENCE)


def read_by(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of a labelled batch a model reads: no labels, and tasks of rows where its adapter asks for them."""
    left_out = ("labels",) if asks_tasks(model) else ("labels", TASK_IDS)
    return {name: value for name, value in batch.items() if name not in left_out}

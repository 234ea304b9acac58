"""Which methods train on a sharded base. Imports neither torch nor ray: jobs are admitted with it."""

from __future__ import annotations

from collections.abc import Mapping

from workers.errors import InvalidInput
from workers.tasks.registry import type_of
from workers.tasks.section import TypeSection
from workers.tasks.task import Task

NEEDS_WHOLE: Mapping[str, str] = {
    "conpet": "its selector sums up the rows of whole tasks, of which each process has a part",
    "eva": "it reads activations of whole batches before training and exchanges them between processes in its own way",
    "light_peft": "it keeps what is left of the base's weights in one place",
    "mola": "its balance of experts is not a sum over rows, so parts of a batch give another one",
    "pego": "its penalty reads whole weights between two passes",
    "sft": "it chooses entries by gradients of the whole batch before they are summed up",
}
"""Methods that need the whole base or the whole batch in one place, and for what."""


WHOLE_BATCH = "rows of a batch are compared with each other, and each of the shards has a part of them"


def needs_whole_batch(task: TypeSection) -> bool:
    """Whether the loss of a task is no sum over rows or groups of them, which shards could divide."""
    kind = type_of(task)
    return isinstance(kind, Task) and kind.compares_batch(task)


def check_sharded(method: str, shards: int) -> None:
    """Raise `InvalidInput` for a method that needs the whole base or batch in one place."""
    if shards > 1 and method in NEEDS_WHOLE:
        raise InvalidInput("shards", shards, f"1 with {method}: {NEEDS_WHOLE[method]}")

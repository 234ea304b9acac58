"""From judged rows to those that a model reads, in both types of task that rank: groups to train on, and what an
evaluation ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from workers.data.rows import Judged, Rows, TaskData
from workers.tasks.criterion import Measure

BASELINES = ("bm25",)
"""What ranks without a model, and stands among the reference trials."""


def arranged(data: TaskData, grouped: Callable[[Rows], Rows], ranked: Callable[[Rows, str], Rows]) -> TaskData:
    """The splits as the model reads them: `grouped` ones of the training rows, `ranked` ones of the others by role."""
    test = None if data.test is None else ranked(data.test, "test")
    return replace(data, train=grouped(data.train), validation=ranked(data.validation, "validation"), test=test)


def judged_of(rows: Rows) -> Judged:
    """What rows of a ranking are about."""
    assert rows.judged is not None
    return rows.judged


def no_measure() -> Measure:
    """Stands for the measure of a whole task: rankings are measured on a split."""
    raise ValueError("rankings are measured on a split, by `on_split`")

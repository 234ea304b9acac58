"""The `task` section of tasks that are learnt one after another. Imports no torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from workers.bounded import Name
from workers.tasks.metrics import ACCURACY, Metric
from workers.tasks.several_tasks import MOST_TASKS, ClassificationPart, SeveralTasks


class ContinualPart(ClassificationPart):
    """One text classification of a sequence."""

    classes: tuple[Name, ...] | None = Field(
        default=None,
        min_length=1,
        description="rows of these classes alone, where one source is divided among tasks by its classes",
    )


class ContinualSpec(SeveralTasks):
    """The `task` section of a sequence of tasks."""

    type: Literal["continual"] = "continual"
    tasks: dict[str, ContinualPart] = Field(
        min_length=2,
        max_length=MOST_TASKS,
        description="text classifications by name, in the order in which they are learnt, each with its own `train` "
        "and columns; labels that are written alike are the same class",
    )

    @model_validator(mode="after")
    def _texts_are_alike(self) -> Self:
        columns = {name: len(part.text_columns()) for name, part in self.tasks.items()}
        if len(set(columns.values())) > 1:
            pairs, single = (next(name for name, count in columns.items() if count == n) for n in (2, 1))
            raise ValueError(f"found text_pair of {pairs} and not of {single}; allowed: of all tasks, or of none")
        return self

    def further_metrics(self) -> tuple[Metric, ...]:
        """The accuracy of each task under `NAME.accuracy`."""
        return tuple(replace(ACCURACY, name=f"{name}.accuracy", description=f"of {name}") for name in self.tasks)

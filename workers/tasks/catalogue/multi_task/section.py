"""The `task` section of several tasks on one backbone. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from workers.bounded import Location
from workers.tasks.catalogue.text_classification import TextClassificationSpec
from workers.tasks.catalogue.text_regression import TextRegressionSpec
from workers.tasks.catalogue.token_classification import TokenClassificationSpec
from workers.tasks.metrics import Metric
from workers.tasks.section import TaskSection

MOST_TASKS = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_MODEL = Field(default="", description="that of the job: it stands beside `tasks`")


class ClassificationPart(TextClassificationSpec):
    """A text classification among other tasks."""

    model: Location = _MODEL


class RegressionPart(TextRegressionSpec):
    """A text regression among other tasks."""

    model: Location = _MODEL


class TokensPart(TokenClassificationSpec):
    """A token classification among other tasks."""

    model: Location = _MODEL


Part = Annotated[ClassificationPart | RegressionPart | TokensPart, Field(discriminator="type")]
AnyPart = ClassificationPart | RegressionPart | TokensPart
_DEFAULTS = ("validation", "test", "train_rows", "validation_rows")


class MultiTaskSpec(TaskSection):
    """The `task` section of several tasks. What stands beside `tasks` holds for each that does not say otherwise."""

    path_fields: ClassVar[tuple[str, ...]] = ()
    train: ClassVar[str] = ""  # type: ignore[misc]  # each task has its own

    type: Literal["multi-task"] = "multi-task"
    validation: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="the fraction of `train` that is split off for tasks without `validation`"
    )
    test: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="the fraction of `train` that is split off for tasks without `test`"
    )
    tasks: dict[str, Part] = Field(
        min_length=2,
        max_length=MOST_TASKS,
        description="tasks by name, each with its own `type` (one of a class, a number or tags for texts), `train` and "
        "columns",
    )

    @field_validator("tasks")
    @classmethod
    def _names_are_told_apart(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, part in value.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"found a task named {name!r}; allowed: letters, digits, `_` and `-`, at most 40")
            for field in ("domain", "knowledge", "unlabelled", "trusted"):
                if getattr(part, field, None) is not None:
                    raise ValueError(f"found {field} of {name}; allowed: none of a task among others")
        return value

    @model_validator(mode="after")
    def _what_is_shared_is_said_once(self) -> Self:
        for name, part in self.tasks.items():
            for field in ("model", "max_length"):
                if field in part.model_fields_set and getattr(part, field) not in ("", getattr(self, field)):
                    raise ValueError(f"found {field} of {name}; allowed: beside `tasks`, for all of them")
        return self

    @model_validator(mode="after")
    def _tests_are_complete(self) -> Self:
        with_test = [name for name, part in self.parts().items() if part.test is not None]
        if with_test and len(with_test) < len(self.tasks):
            without = next(name for name in self.tasks if name not in with_test)
            raise ValueError(f"found a test of {with_test[0]} and none of {without}; allowed: of all tasks, or of none")
        return self

    def parts(self) -> Mapping[str, AnyPart]:
        """The tasks as sections of their own, with the model and what else is the job's."""
        found = {}
        for name, part in self.tasks.items():
            own = {field: getattr(self, field) for field in _DEFAULTS if getattr(part, field) is None}
            found[name] = part.model_copy(update={**own, "model": self.model, "max_length": self.max_length})
        return found

    def with_parts(self, parts: Mapping[str, Any]) -> Self:
        """The section with other tasks of the same names."""
        return self.model_copy(
            update={"tasks": {name: part.model_copy(update={"model": ""}) for name, part in parts.items()}}
        )

    def text_columns(self) -> tuple[str, ...]:
        """The columns that make the input, of all tasks."""
        return tuple(dict.fromkeys(column for part in self.tasks.values() for column in part.text_columns()))

    def holds_out_test(self) -> bool:
        """Whether there are rows that the search never sees."""
        return all(part.test is not None for part in self.parts().values())

    def further_metrics(self) -> tuple[Metric, ...]:
        """Metrics of each task under `NAME.metric`."""
        from workers.tasks.catalogue.multi_task.parts import part_metrics

        return part_metrics(self.tasks)

    def likeness(self) -> str:
        """Jobs of the same kinds of tasks tell of each other."""
        return f"{self.type}: {', '.join(sorted(part.type for part in self.tasks.values()))}"

"""What the `task` sections of several tasks on one backbone have in common. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from workers.bounded import Location
from workers.data.rows import Rows, Targets, TaskData
from workers.errors import InvalidInput
from workers.tasks.catalogue.text_classification import TextClassificationSpec
from workers.tasks.section import TaskSection

MOST_TASKS = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
MODEL = Field(default="", description="that of the job: it stands beside `tasks`")
_DEFAULTS = ("validation", "test", "train_rows", "validation_rows")
_Read = TypeVar("_Read")


class ClassificationPart(TextClassificationSpec):
    """A text classification among other tasks."""

    model: Location = MODEL


class SeveralTasks(TaskSection):
    """A section of tasks by name, under `tasks`. What stands beside that holds for each that does not say otherwise."""

    path_fields: ClassVar[tuple[str, ...]] = ()
    train: ClassVar[str] = ""  # type: ignore[misc]  # each task has its own

    validation: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="the fraction of `train` that is split off for tasks without `validation`"
    )
    test: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="the fraction of `train` that is split off for tasks without `test`"
    )
    tasks: dict[str, Any]

    @field_validator("tasks")
    @classmethod
    def _names_are_told_apart(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, part in value.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"found a task named {name!r}; allowed: letters, digits, `_` and `-`, at most 40")
            for field in ("domain", "knowledge", "unlabelled", "trusted", "doc_stride", "n_best"):
                if getattr(part, field, None) is not None:
                    raise ValueError(f"found {field} of {name}; allowed: none of a task among others")
        return value

    @model_validator(mode="after")
    def _what_is_shared_is_said_once(self) -> Self:
        for name, part in self.tasks.items():
            for field in ("model", "max_length"):
                if field in part.model_fields_set and getattr(part, field) not in ("", getattr(self, field)):
                    raise ValueError(f"found {field} of {name}; allowed: beside `tasks`, for all of them")
            if self.max_length < (least := _shortest(part)):
                raise ValueError(f"found max_length {self.max_length}; allowed: at least {least}, as {name} needs")
        return self

    @model_validator(mode="after")
    def _tests_are_complete(self) -> Self:
        with_test = [name for name, part in self.parts().items() if part.test is not None]
        if with_test and len(with_test) < len(self.tasks):
            without = next(name for name in self.tasks if name not in with_test)
            raise ValueError(f"found a test of {with_test[0]} and none of {without}; allowed: of all tasks, or of none")
        return self

    def parts(self) -> Mapping[str, Any]:
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

    def of_each(self, read: Callable[[Any], _Read]) -> dict[str, _Read]:
        """What is read of each task, by name. Raises `InvalidInput` naming the task and its field."""
        found = {}
        for name, part in self.parts().items():
            try:
                found[name] = read(part)
            except InvalidInput as error:
                raise InvalidInput(f"tasks.{name}.{error.field}", error.found, error.allowed, error.message) from None
        return found


def _shortest(section: TaskSection) -> int:
    """The least `max_length` of a section's type."""
    return max(getattr(bound, "ge", 1) for bound in type(section).model_fields["max_length"].metadata)


def parted(data: TaskData, name: str, labels: tuple[str, ...], targets: Callable[[Targets], Targets]) -> TaskData:
    """The rows of one task of data that `joined` made, as if it had been read alone: with its own `labels`, its
    `targets` made from those of the whole, and no word on what they are of."""
    test = None if data.test is None else rows_of(data.test, name, targets)
    train, validation = rows_of(data.train, name, targets), rows_of(data.validation, name, targets)
    return replace(data, labels=labels, train=train, validation=validation, test=test)


def rows_of(rows: Rows, name: str, targets: Callable[[Targets], Targets]) -> Rows:
    """Of one split those of a task, with `targets` made from those of the whole."""
    mine = rows.take(rows.of_domain(name))
    pairs = mine.pairs if any(mine.pairs or ()) else None
    return replace(mine, targets=targets(mine.targets), pairs=pairs, domains=None)


def joined(labels: tuple[str, ...], found: Mapping[str, TaskData], join: Callable[[list[Rows]], Rows]) -> TaskData:
    """The data of several tasks as one, its splits as `join` makes them of theirs; a test where all have one."""
    tests = [data.test for data in found.values()]
    return TaskData(
        labels,
        join([data.train for data in found.values()]),
        join([data.validation for data in found.values()]),
        None if None in tests else join([test for test in tests if test is not None]),
    )

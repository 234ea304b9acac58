"""The `task` of a job against the world: paths, data, model. Problems are collected, not raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from service.api.data_paths import locate
from service.api.models import described
from service.errors import BadInput, FieldProblem
from service.settings import Settings
from workers.data.sources import DataSummary, summarise
from workers.errors import InvalidInput
from workers.models.description import ModelDescription
from workers.task import TaskSpec

T = TypeVar("T")
_SOURCES = ("train", "validation", "test")
_ELSEWHERE = ("builtin:", "hub:")


class TaskAdmission:
    """Collects the problems of one task."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.problems: list[FieldProblem] = []

    def model(self, task: TaskSpec) -> ModelDescription | None:
        """What is known of the task's model; None when it cannot be used."""
        return self.attempt(lambda: described(task.model, self.settings, "task.model"))

    def attempt(self, check: Callable[[], T]) -> T | None:
        """The result of a check, or None after noting why it refused."""
        try:
            return check()
        except BadInput as error:
            self.problems += error.errors
            return None

    def locate_sources(self, task: TaskSpec) -> TaskSpec | None:
        """The task with absolute paths; None when one of them cannot be used."""
        changes: dict[str, str] = {}
        before = len(self.problems)
        for field in _SOURCES:
            value = getattr(task, field)
            if isinstance(value, str) and not value.startswith(_ELSEWHERE):
                found = self.attempt(lambda: locate(f"task.{field}", value, self.settings.data_roots))  # noqa: B023
                changes[field] = str(found)
        return task.model_copy(update=changes) if len(self.problems) == before else None

    def summarise(self, task: TaskSpec, seed: int) -> DataSummary | None:
        """What is in the task's data; None when it cannot be read."""
        try:
            return summarise(task, seed)
        except InvalidInput as error:
            self.problems.append(FieldProblem(f"task.{error.field}", error.found, error.allowed, error.message))
            return None

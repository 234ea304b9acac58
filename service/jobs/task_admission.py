"""The `task` of a job against the world: paths, data, model, and whether they fit together. Problems are collected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tokenizers import Tokenizer

from service.errors import BadInput, FieldProblem
from service.jobs.data_paths import locate
from service.jobs.hub import HUB, check_data_id
from service.jobs.judge_checks import located_judge
from service.jobs.mending import touches
from service.jobs.models import described, usable
from service.settings import Settings
from workers.data.rows import TaskData
from workers.errors import InvalidInput
from workers.generation.judging.section import Judge
from workers.models.description import ModelDescription, for_task, require_head
from workers.models.vocabulary import check_texts
from workers.tasks.knowledge import knowledge_section
from workers.tasks.registry import task_of
from workers.tasks.section import DOMAIN, TaskSection

T = TypeVar("T")


class TaskAdmission:
    """Collects the problems of one task."""

    def __init__(self, settings: Settings, broken: frozenset[str] = frozenset()) -> None:
        """`broken` are fields whose values only stand in for wrong ones: what depends on them is not looked at.

        `data`, `tokenizer` and `max_length` are what was read on the way."""
        self.settings = settings
        self.broken = broken
        self.problems: list[FieldProblem] = []
        self.data: TaskData | None = None
        self.tokenizer: Tokenizer | None = None
        self.max_length = 0
        self._read: TaskSection | None = None
        self._reference: str | None = None  # the model, where it can be used for the task

    def sound(self, *fields: str) -> bool:
        """Whether fields of the spec say what the user wrote."""
        return not any(touches(field, self.broken) for field in fields)

    def model(self, task: TaskSection) -> ModelDescription | None:
        """What is known of the task's model; None when it cannot be used."""
        if not self.sound("task.model"):
            return None
        model = self.attempt(lambda: described(task.model, self.settings, "task.model"))
        if model is not None:
            headless = _headless(task, model)
            self.problems += [*_too_long(task, model), *headless]
            self._reference = None if headless else model.reference
        return None if model is None else self._as_seen_by(task, model)

    def _as_seen_by(self, task: TaskSection, model: ModelDescription) -> ModelDescription | None:
        try:
            return for_task(model, task)
        except InvalidInput as error:
            self.problems.append(FieldProblem(f"task.{error.field}", error.found, error.allowed, error.message))
            self._reference = None
            return None

    def attempt(self, check: Callable[[], T]) -> T | None:
        """The result of a check, or None after noting why it refused."""
        try:
            return check()
        except BadInput as error:
            self.problems += error.errors
            return None

    def locate_sources(self, task: TaskSection) -> TaskSection | None:
        """The task with absolute paths; None when one of them cannot be used, or the model where reading rows needs it.

        Behind `model`.
        """
        changes: dict[str, Any] = {}
        if task_of(task).reads_model:
            if self._reference is None:
                return None
            changes["model"] = self._reference
        before = len(self.problems)
        changes |= self._paths(task, "task")
        judges: tuple[Judge, ...] = getattr(task, "judges", ())
        if judges and self.sound("task.judges"):
            changes["judges"] = tuple(
                self.attempt(lambda: located_judge(number, judge, self.settings))  # noqa: B023
                for number, judge in enumerate(judges)
            )
        sound = len(self.problems) == before and self.sound(
            *(f"task.{name}" for name in type(task).model_fields if name not in ("model", "max_length"))
        )
        if not sound:
            return None
        parts = {
            name: part.model_copy(update=self._paths(part, f"task.tasks.{name}")) for name, part in task.parts().items()
        }
        if len(self.problems) > before:
            return None
        return task.model_copy(update=changes).with_parts(parts)

    def _paths(self, task: TaskSection, at: str) -> dict[str, Any]:
        """The fields of a section at `at` that name files, with absolute paths."""
        found: dict[str, Any] = {}
        for role in task.path_fields:
            value, field = getattr(task, role), f"{at}.{role}"
            if not isinstance(value, str) or value.startswith(("builtin:", DOMAIN)) or not self.sound(field):
                continue
            if value.startswith(HUB):
                self.attempt(lambda: check_data_id(field, value, self.settings))  # noqa: B023
            else:
                found[role] = str(self.attempt(lambda: locate(field, value, self.settings.data_roots)))  # noqa: B023
        return found

    def read(self, task: TaskSection, seed: int) -> TaskData | None:
        """The rows of the task; None when they cannot be read."""
        try:
            self.data = task_of(task).read(task, seed)
            self._read = task
            self.max_length = task.max_length
            self._read_knowledge(task, seed)
            return self.data
        except InvalidInput as error:
            self.problems.append(FieldProblem(f"task.{error.field}", error.found, error.allowed, error.message))
            if error.field == "test":  # it is read before the validation rows, whose problems are others
                self.read(task.model_copy(update={"test": None}), seed)
            return None

    @property
    def parts(self) -> Mapping[str, TaskData]:
        """What was read, by the names of the tasks that the task is made of; empty for one that is not."""
        parted = None if self._read is None else task_of(self._read).parted
        return {} if parted is None or self.data is None else parted(self._read, self.data)

    def _read_knowledge(self, task: TaskSection, seed: int) -> None:
        """That the data of what the base can do already can be read."""
        known = knowledge_section(task)
        if known is None:
            return
        try:
            task_of(known).read(known, seed)
        except InvalidInput as error:
            self.problems.append(FieldProblem("task.knowledge", error.found, error.allowed, error.message))

    def check_fit(self, model: ModelDescription, data: TaskData | None) -> None:
        """That the model's weights and tokenizer are there, belong together, and know the texts."""
        try:
            self.tokenizer = usable(model)
            if self.tokenizer is not None and data is not None:
                splits = (data.train, data.validation, *(() if data.test is None else (data.test,)))
                texts = [text for split in splits for text in split.strings()]
                check_texts(self.tokenizer, texts, model.anatomy.vocabulary)
        except InvalidInput as error:
            self.problems.append(FieldProblem("task.model", error.found, error.allowed, error.message))


def _headless(task: TaskSection, model: ModelDescription) -> list[FieldProblem]:
    """Classes of model that have no head for the task."""
    try:
        require_head(model, task_of(task).head)
    except InvalidInput as error:
        return [FieldProblem("task.model", error.found, error.allowed, error.message)]
    return []


def _too_long(task: TaskSection, model: ModelDescription) -> list[FieldProblem]:
    """Texts longer than a table of positions; models of relative positions have none."""
    positions = model.anatomy.positions
    if model.anatomy.relative_positions or task.max_length <= positions:
        return []
    allowed = f"at most {positions} on this model"
    message = f"texts of up to {task.max_length} tokens, and the model has {positions} positions; allowed: {allowed}"
    return [FieldProblem("task.max_length", task.max_length, allowed, message)]

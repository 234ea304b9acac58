"""Admits a job: its spec against the world. Every problem found is reported at once; nothing is stored on a refusal.

First the shape (fields, types, ranges), then the world: metrics, paths, data, model, space, optimizer, scheduler.
A check that needs what an earlier one refused is left out: its message would only repeat the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from optimizers.problem import Problem
from optimizers.schedulers.contract import Budget
from service.api.data_paths import locate
from service.api.models import described, located
from service.api.search_checks import check_optimizer, check_scheduler
from service.api.space_checks import check_batch, check_references, read_space
from service.api.spec_problems import spec_problems
from service.api.suggestions import unknown_name
from service.errors import BadInput, FieldProblem
from service.jobspec import JobSpec
from service.problem import problem_on
from service.problem import references as references_of
from service.settings import Settings
from workers.data.sources import DataSummary, summarise
from workers.errors import InvalidInput
from workers.metrics import METRICS
from workers.models.description import ModelDescription
from workers.task import TaskSpec

T = TypeVar("T")
_SOURCES = ("train", "validation", "test")
_ELSEWHERE = ("builtin:", "hub:")
_TEST_NEEDED = "`task.test`, a data source that the search never sees or a fraction of `train` to split off"


def admit(data: Any, settings: Settings) -> JobSpec:
    """The JobSpec in `data` (parsed JSON or YAML), its paths absolute. Raises BadInput with every problem found."""
    try:
        spec = JobSpec.model_validate(data)
    except ValidationError as error:
        raise BadInput.of(spec_problems(error)) from None
    admission = _Admission(settings)
    admitted = admission.check(spec)
    if admission.problems:
        raise BadInput.of(admission.problems)
    return admitted


class _Admission:
    """Collects the problems of one spec."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.problems: list[FieldProblem] = []

    def check(self, spec: JobSpec) -> JobSpec:
        """The spec with its paths resolved; worth something only when no problem was found."""
        self.problems += _metric_problems(spec)
        model = self.attempt(lambda: described(spec.task.model, self.settings, "task.model"))
        task = self._locate_sources(spec.task)
        data = None if task is None else self._summarise(task, spec.seed)
        problem = None if model is None else self._problem(spec, model)
        if model is not None:
            self.problems += check_references(spec, model)
        if data is not None and problem is not None and model is not None:
            self.problems += check_batch(spec, problem.space, model, data.train_rows)
        self.problems += check_optimizer(spec.optimizer, problem)
        references = 0 if model is None else len(references_of(spec, model))
        budget = Budget(spec.budget.trials - references, spec.budget.epochs)
        self.problems += check_scheduler(spec.scheduler, problem, budget)
        if spec.confirm is not None and spec.task.test is None:
            self.problems.append(FieldProblem("task.test", None, _TEST_NEEDED, f"confirm: needs {_TEST_NEEDED}"))
        if task is None or model is None:
            return spec
        task = task.model_copy(update={"model": located(spec.task.model, self.settings)})
        return spec.model_copy(update={"task": task})

    def attempt(self, check: Callable[[], T]) -> T | None:
        """The result of a check, or None after noting why it refused."""
        try:
            return check()
        except BadInput as error:
            self.problems += error.errors
            return None

    def _locate_sources(self, task: TaskSpec) -> TaskSpec | None:
        """The task with absolute paths; None when one of them cannot be used."""
        changes: dict[str, str] = {}
        before = len(self.problems)
        for field in _SOURCES:
            value = getattr(task, field)
            if isinstance(value, str) and not value.startswith(_ELSEWHERE):
                found = self.attempt(lambda: locate(f"task.{field}", value, self.settings.data_roots))  # noqa: B023
                changes[field] = str(found)
        return task.model_copy(update=changes) if len(self.problems) == before else None

    def _summarise(self, task: TaskSpec, seed: int) -> DataSummary | None:
        try:
            return summarise(task, seed)
        except InvalidInput as error:
            self.problems.append(FieldProblem(f"task.{error.field}", error.found, error.allowed, error.message))
            return None

    def _problem(self, spec: JobSpec, model: ModelDescription) -> Problem | None:
        found = read_space(spec.space, model)
        if isinstance(found, list):
            self.problems += found
            return None
        return problem_on(spec, found, model)


def _metric_problems(spec: JobSpec) -> list[FieldProblem]:
    named = [(f"objectives.{number}.metric", one.metric) for number, one in enumerate(spec.objectives)]
    named += [(f"constraints.{number}.metric", one.metric) for number, one in enumerate(spec.constraints)]
    usable = {name for name, metric in METRICS.items() if spec.task.type in metric.task_types}
    return [unknown_name(field, name, usable, "metric") for field, name in named if name not in usable]

"""Admits a search: its spec against the world. Every problem found is reported at once; nothing is stored on a refusal.

First the shape (fields, types, ranges), then the world: metrics, paths, data, model, space, optimizer, scheduler.
A check that needs what an earlier one refused is left out: its message would only repeat the first.
"""

from __future__ import annotations

from collections.abc import Sequence

from optimizers.problem import Problem
from optimizers.schedulers.contract import Budget
from service.errors import FieldProblem
from service.jobs.did_you_mean import unknown_name
from service.jobs.execution_checks import check_methods, check_sharding
from service.jobs.judge_checks import judged_goals
from service.jobs.model_class_checks import check_model_class
from service.jobs.models import located
from service.jobs.search.checks import check_optimizer, check_scheduler
from service.jobs.search.constraint_checks import check_bounds, check_known
from service.jobs.search.memory import TrialMemory, check_memory, memory_of
from service.jobs.search.problem import problem_on
from service.jobs.search.problem import references as references_of
from service.jobs.search.program_admission import check_parameters, located_program, unfit_for_programs
from service.jobs.search.space_checks import check_batch, check_owned, check_references, read_space
from service.jobs.search.spec import JobSpec
from service.jobs.task_admission import TaskAdmission
from workers.data.rows import TaskData
from workers.models.description import ModelDescription
from workers.programs.section import ProgramSpec
from workers.tasks.registry import METRICS, metrics_for, option_of, task_of
from workers.tasks.section import TaskSection

_TEST_NEEDED = "`task.test`, a data source that the search never sees or a fraction of `train` to split off"


class SearchAdmission(TaskAdmission):
    """Collects the problems of a search. `memory` is what its trials will take, where that can be told."""

    memory: TrialMemory | None = None

    def check(self, spec: JobSpec) -> JobSpec:
        """The spec with its paths resolved; worth something only when no problem was found."""
        if isinstance(spec.task, TaskSection):
            return self._check_training(spec, spec.task)
        assert isinstance(spec.task, ProgramSpec), "there are no other types without a model"
        return self._check_program(spec, spec.task)

    def _check_program(self, spec: JobSpec, given: ProgramSpec) -> JobSpec:
        self.problems += [*check_bounds(spec.constraints, known={}), *(unfit := list(unfit_for_programs(spec)))]
        task = self.attempt(lambda: located_program(given, self.settings)) if self.sound("task") else None
        problem = None
        if not any(one.field.startswith("space") for one in unfit):
            problem = self._problem(spec, None)
        if problem is not None:
            self.problems += check_parameters(spec, problem.space)
        self._check_search(spec, problem, references_of(spec, None))
        return spec if task is None else spec.model_copy(update={"task": task})

    def _check_training(self, spec: JobSpec, given: TaskSection) -> JobSpec:
        self.problems += [*_metric_problems(spec, given), *judged_goals(spec), *check_sharding(spec)]
        self.problems += check_bounds(spec.constraints, {**METRICS, **metrics_for(given)})
        model = self.model(given)
        task = self.locate_sources(given)
        data = None if task is None else self.read(task, spec.seed)
        if model is not None:
            self.check_fit(model, data)
            self.problems += check_model_class(spec.resources, model)
        problem = None
        if model is not None:
            self.problems += (unsound := check_references(spec, model))
            problem = self._problem(spec, model)
            if problem is not None:
                self._check_space(spec, problem, model, data, references_sound=not unsound)
        self._check_search(spec, problem, () if model is None else references_of(spec, model))
        if spec.confirm is not None and not given.holds_out_test():
            self.problems.append(FieldProblem("task.test", None, _TEST_NEEDED, f"confirm: needs {_TEST_NEEDED}"))
        if task is None or model is None:
            return spec
        task = task.model_copy(update={"model": located(given.model, self.settings)})
        return spec.model_copy(update={"task": task})

    def _check_space(
        self,
        spec: JobSpec,
        problem: Problem,
        model: ModelDescription,
        data: TaskData | None,
        references_sound: bool,
    ) -> None:
        """What is in the space, against the data, the constraints and a base in parts or few bits."""
        if references_sound:
            self.problems += check_methods(spec, problem.space, model)
        if data is not None:
            self.problems += check_batch(spec, problem.space, model, len(data.train))
            if references_sound and self.sound("resources", "task.max_length"):
                self.memory = memory_of(spec, problem.space, model, data.train, self.tokenizer, self.settings)
                self.problems += check_memory(self.memory, spec)
        self.problems += check_known(spec.constraints, problem.space, model)

    def _check_search(self, spec: JobSpec, problem: Problem | None, references: Sequence[object]) -> None:
        """The optimizer and the scheduler, on the problem where all of it is known."""
        if not self.sound("objectives", "constraints"):
            problem = None
        self.problems += check_optimizer(spec.optimizer, problem)
        budget = Budget(spec.budget.trials - len(references), spec.budget.epochs)
        known = problem if self.sound("budget", "reference_trials") else None
        self.problems += check_scheduler(spec.scheduler, known, budget)

    def _problem(self, spec: JobSpec, model: ModelDescription | None) -> Problem | None:
        if not self.sound("space"):
            return None
        found = read_space(spec.space, model)
        if isinstance(found, list):
            self.problems += found
            return None
        self.problems += [] if model is None else check_owned(spec, found)
        return problem_on(spec, found, model)


def _metric_problems(spec: JobSpec, given: TaskSection) -> list[FieldProblem]:
    named = [(f"objectives.{number}.metric", one.metric) for number, one in enumerate(spec.objectives)]
    named += [(f"constraints.{number}.metric", one.metric) for number, one in enumerate(spec.constraints)]
    usable = metrics_for(given)
    written = {metric.name for metric in task_of(given).written}
    later = {one.name for one in given.confirmed_metrics()}
    return [
        FieldProblem(field, name, "written answers", f"{name} needs `task.generation` with {name} among its metrics")
        if name in written
        else FieldProblem(
            field, name, "metrics of every trial", f"{name} is measured in `confirm` alone (`confirm_only`)"
        )
        if name in later
        else FieldProblem(field, name, f"with `task.{option}`", f"{field}: found {name}, which needs `task.{option}`")
        if (option := option_of(name)) is not None and option in type(given).model_fields
        else unknown_name(field, name, usable, "metric")
        for field, name in named
        if name not in usable
    ]

"""Checks of a search whose trials are programs: no model and no data of ours, but a file that the operator allows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from search_spaces.space import Space
from service.errors import BadInput, FieldProblem
from service.jobs.data_paths import locate
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from workers.errors import InvalidInput
from workers.programs.places import BUILTIN, program_file
from workers.programs.section import ProgramSpec
from workers.programs.trial import placeholders

_METRIC = re.compile(r"[A-Za-z_]\w*")
_EXECUTION = "nothing: how a program trains is its own affair"


def located_program(task: ProgramSpec, settings: Settings) -> ProgramSpec:
    """The section with the program's path absolute. Raises BadInput unless it may be run."""
    field = "task.program"
    if not settings.programs and not task.program.startswith(BUILTIN):
        allowed = "a built-in program, or a service that allows programs (`peftsearch serve --programs FOLDER`)"
        raise BadInput(field, task.program, allowed, f"this service runs no programs of users; allowed: {allowed}")
    try:
        path = task.program
        if not path.startswith(BUILTIN):
            path = str(locate(field, path, settings.programs, "folders that programs may lie in"))
        file = program_file(path, settings.programs)
    except InvalidInput as error:
        raise BadInput(field, task.program, error.allowed, error.message) from None
    if task.function is not None and file.suffix != ".py":
        raise BadInput("task.function", task.function, "nothing, or a program that is a Python file (`.py`)")
    return task.model_copy(update={"program": path})


def unfit_for_programs(spec: JobSpec) -> Iterator[FieldProblem]:
    """What a job asks for that makes sense for models alone."""
    for part in ("preset", "method"):
        if (found := getattr(spec.space, part)) is not None:
            yield _problem(f"space.{part}", found, "`parameters` of the program's own, as it trains no model of ours")
    if spec.space.strategies:
        yield _problem("space.strategies", list(spec.space.strategies), "no strategies: they are for models of ours")
    if not isinstance(spec.reference_trials, bool):
        for number, one in enumerate(spec.reference_trials):
            if isinstance(one, str):
                yield _problem(f"reference_trials.{number}", one, "configurations of the program")
    for name in spec.resources.chosen():
        yield _problem(f"resources.{name}", getattr(spec.resources, name), _EXECUTION)
    if spec.resources.executor != "ray":
        yield _problem("resources.executor", spec.resources.executor, "ray: the service's workers run programs")
    if spec.confirm is not None:
        yield _problem("confirm", "given", "nothing: a program keeps no rows apart that the search does not see")
    for field, name in _named(spec):
        if not _METRIC.fullmatch(name):
            yield _problem(field, name, "letters, digits and _, as the program reports it")


def check_parameters(spec: JobSpec, space: Space) -> Iterator[FieldProblem]:
    """Arguments and reference trials that name parameters which the space has not."""
    assert isinstance(spec.task, ProgramSpec)
    known = ", ".join(space.by_name) or "none"
    for name in sorted(placeholders(spec.task) - space.by_name.keys()):
        yield _problem("task.arguments", f"{{{name}}}", f"a parameter of the space: {known}")
    if isinstance(spec.reference_trials, bool):
        return
    for number, one in enumerate(spec.reference_trials):
        for name in sorted(one.keys() - space.by_name.keys() if isinstance(one, dict) else ()):
            yield _problem(f"reference_trials.{number}.{name}", name, f"a parameter of the space: {known}")


def _named(spec: JobSpec) -> Iterator[tuple[str, str]]:
    for number, objective in enumerate(spec.objectives):
        yield f"objectives.{number}.metric", objective.metric
    for number, constraint in enumerate(spec.constraints):
        yield f"constraints.{number}.metric", constraint.metric


def _problem(field: str, found: object, allowed: str) -> FieldProblem:
    return FieldProblem(field, found, allowed, f"{field}: found {found!r}; allowed: {allowed}")

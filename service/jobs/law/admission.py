"""Admits a law job: its task as for a search, and a grid that can be trained and determines a law."""

from __future__ import annotations

from collections.abc import Iterator

from service.errors import BadInput, FieldProblem
from service.jobs.did_you_mean import unknown_name
from service.jobs.execution_checks import check_one_method
from service.jobs.law.spec import LEAST_SETTINGS, LEAST_SIZES, MOST_TRAININGS, DesignSpec, LawSpec
from service.jobs.model_class_checks import check_model_class
from service.jobs.models import located
from service.jobs.search.space_checks import foreign_to
from service.jobs.task_admission import TaskAdmission
from service.settings import Settings
from workers.errors import InvalidInput
from workers.hyperparameters import split_config
from workers.methods.registry import method, methods
from workers.models.description import ModelDescription
from workers.models.positions import check_scaled
from workers.running.packing import check_packing


def admit_law(spec: LawSpec, settings: Settings, broken: frozenset[str] = frozenset()) -> LawSpec:
    """The spec with absolute paths. Raises BadInput, which says nothing of `broken` fields."""
    admission = TaskAdmission(settings, broken)
    problems = [
        *_design_problems(spec),
        *_foreign_problems(spec),
        *(check_one_method(spec.resources, spec.method) if spec.method in methods() else ()),
    ]
    if spec.method not in methods():
        problems.append(unknown_name("method", spec.method, methods(), "method"))
    model = admission.model(spec.task)
    task = admission.locate_sources(spec.task)
    data = None if task is None else admission.read(task, spec.seed)
    if model is not None:
        admission.check_fit(model, data)
        problems += check_model_class(spec.resources, model)
    if model is not None and not problems and admission.sound("method", "fixed", "design"):
        problems += _untrainable(spec, model)
    if data is not None and admission.sound("design"):
        problems += _row_problems(spec.design, len(data.train))
    problems += admission.problems
    if problems:
        raise BadInput.of(problems)
    if task is None:  # for fields that are broken, which the caller tells
        return spec
    return spec.model_copy(update={"task": task.model_copy(update={"model": located(spec.task.model, settings)})})


def _design_problems(spec: LawSpec) -> Iterator[FieldProblem]:
    design = spec.design
    varied = {name: getattr(design, name) for name in ("learning_rate", "batch_size", "train_rows", "epochs")}
    for name, values in {**varied, **{f"knobs.{knob}": values for knob, values in design.knobs.items()}}.items():
        if not values or len({repr(value) for value in values}) < len(values):
            yield FieldProblem(f"design.{name}", values, "values that differ, at least one", f"found {values}")
        if name.removeprefix("knobs.") in spec.fixed:
            yield FieldProblem(f"fixed.{name}", spec.fixed.get(name), "nothing that `design` varies", "varied already")
    sizes, settings = len(design.sizes()), len(design.settings())
    counts = (("sizes (train_rows x epochs x knobs)", sizes, LEAST_SIZES), ("settings", settings, LEAST_SETTINGS))
    for noun, found, least in counts:
        if found < least:
            yield FieldProblem("design", found, f"at least {least} {noun}", f"found {found} {noun}; at least {least}")
    if design.trainings > MOST_TRAININGS:
        message = f"the grid has {design.trainings} trainings; at most {MOST_TRAININGS}"
        yield FieldProblem("design", design.trainings, f"at most {MOST_TRAININGS} trainings", message)


def _foreign_problems(spec: LawSpec) -> Iterator[FieldProblem]:
    foreign = foreign_to(spec.task.type)
    given = {f"fixed.{name}": name for name in spec.fixed} | {
        f"design.knobs.{name}": name for name in spec.design.knobs
    }
    for field, name in given.items():
        if name in foreign:
            allowed = f"a job of type {foreign[name]}"
            yield FieldProblem(field, name, allowed, f"{name} belongs to tasks of type {foreign[name]}")


def _untrainable(spec: LawSpec, model: ModelDescription) -> list[FieldProblem]:
    """Why one of the sizes cannot be trained; the first is enough."""
    for size in spec.design.sizes():
        knobs = {name: value for name, value in size.items() if name in spec.design.knobs}
        try:
            name, chosen, hyperparameters = split_config({"method": spec.method, **spec.fixed, **knobs})
            method(name).complete(model, chosen)
            check_packing(hyperparameters, model)
            check_scaled(hyperparameters.position_scale, model)
        except InvalidInput as error:
            if error.field == "max_length":
                return [FieldProblem("task.max_length", error.found, error.allowed, error.message)]
            where = f"design.knobs.{error.field}" if error.field in spec.design.knobs else f"fixed.{error.field}"
            return [FieldProblem(where, error.found, error.allowed, error.message)]
    return []


def _row_problems(design: DesignSpec, rows: int) -> Iterator[FieldProblem]:
    least, most, batch = min(design.train_rows), max(design.train_rows), max(design.batch_size)
    if most > rows:
        message = f"{most} rows asked for, and the training data has {rows}"
        yield FieldProblem("design.train_rows", most, f"at most {rows}", message)
    if batch > least:
        message = f"batches of {batch} rows, and the smallest size has {least}"
        yield FieldProblem("design.batch_size", batch, f"at most {least}", message)

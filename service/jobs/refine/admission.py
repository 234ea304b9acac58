"""Admits a refine job: its task as for a search, adapters that are there, and steps that fit them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.errors import BadInput, FieldProblem
from service.jobs.data_paths import locate
from service.jobs.did_you_mean import unknown_name
from service.jobs.models import located
from service.jobs.refine.fitting import misfit
from service.jobs.refine.results import result_config
from service.jobs.refine.sources import read_folder
from service.jobs.refine.spec import MOST_SOURCES, MOST_TRIALS, AdapterSpec, RefineSpec
from service.jobs.task_admission import TaskAdmission
from service.settings import Settings
from workers.errors import InvalidInput
from workers.hyperparameters import split_config
from workers.methods.registry import method, methods
from workers.models.description import ModelDescription
from workers.tasks.registry import metrics_for


def admit_refine(spec: RefineSpec, settings: Settings, broken: frozenset[str] = frozenset()) -> RefineSpec:
    """The spec with absolute paths and, of a folder, its adapter. Raises BadInput, which says nothing of `broken`."""
    admission = TaskAdmission(settings, broken)
    adapters = spec.adapters
    if spec.source.folder is not None and admission.sound("source"):
        found = admission.attempt(lambda: _from_folder(str(spec.source.folder), settings))
        adapters = [] if found is None else [found]
    model = admission.model(spec.task)
    task = admission.locate_sources(spec.task)
    data = None if task is None else admission.read(task, spec.seed if spec.data_seed is None else spec.data_seed)
    if model is not None:
        admission.check_fit(model, data)
    problems = [*admission.problems, *_shape_problems(spec)]
    if model is not None and admission.sound("source"):
        problems += _config_problems(spec, adapters, model)
    if problems:
        raise BadInput.of(problems)
    if task is None:  # for fields that are broken, which the caller tells
        return spec
    task = task.model_copy(update={"model": located(spec.task.model, settings)})
    return spec.model_copy(update={"task": task, "adapters": adapters})


def _from_folder(value: str, settings: Settings) -> AdapterSpec:
    return AdapterSpec(**read_folder(locate("source.folder", value, settings.data_roots)))


def _shape_problems(spec: RefineSpec) -> Iterator[FieldProblem]:
    usable = metrics_for(spec.task)
    named = [(f"objectives.{number}.metric", one.metric) for number, one in enumerate(spec.objectives)]
    named += [(f"constraints.{number}.metric", one.metric) for number, one in enumerate(spec.constraints)]
    yield from (unknown_name(field, name, usable, "metric") for field, name in named if name not in usable)
    first = next(
        (one for one in spec.objectives if one.metric in usable and usable[one.metric].kind == "quality"), None
    )
    if (first is None or first.direction == "minimize") and any(step.step == "d90" for step in spec.steps):
        allowed = "a quality to maximize as the first one, as accuracy: d90 is a share of it"
        found = None if first is None else first.metric
        yield FieldProblem("objectives", found, allowed, f"found {found}; needed: {allowed}")
    yield from _unanswered(spec)
    if (trials := spec.trials()) > MOST_TRIALS:
        yield FieldProblem("steps", trials, f"at most {MOST_TRIALS} trials", f"the steps make up to {trials} trials")
    for name, value, only in (("executor", spec.resources.executor, "ray"), ("shards", spec.resources.shards, 1)):
        if value != only:
            told = f"refine jobs work in the service's own processes, each on a whole base; found {value}"
            yield FieldProblem(f"resources.{name}", value, str(only), f"resources.{name}: {told}; allowed: {only}")


def _unanswered(spec: RefineSpec) -> Iterator[FieldProblem]:
    """Steps that read answers, of tasks which write none."""
    generation = getattr(spec.task, "generation", None)
    for number, step in enumerate(spec.steps):
        if step.answers and not (generation and generation.metrics):
            found = f"a task of type {spec.task.type} without scores of answers"
            allowed = (
                "a task whose model writes answers, with `generation.metrics`, whose first one tells what is wrong"
            )
            told = f"{step.step} works on {allowed}; found {found}"
            yield FieldProblem(f"steps.{number}.step", found, allowed, told)


def _config_problems(spec: RefineSpec, adapters: list[AdapterSpec], model: ModelDescription) -> Iterator[FieldProblem]:
    """What is wrong with the sources' configurations, or with steps that cannot work on them or on one another."""
    sound = []
    given = [(f"source.configs.{number}", one) for number, one in enumerate(spec.source.configs)]
    given += [("source", one.config) for one in adapters]
    for field, config in given:
        name = config.get("method")
        if spec.source.configs and isinstance(name, str) and name not in methods():
            yield unknown_name(f"{field}.method", name, methods(), "method")
            continue
        try:
            name, knobs, _ = split_config(config)
            method(name).complete(model, knobs)
        except InvalidInput as error:
            yield FieldProblem(f"{field}.{error.field}", error.found, error.allowed, error.message)
            continue
        sound.append((f"{field}.method", config))
    if len(sound) == len(given):
        yield from _course_problems(spec, sound, model)


def _course_problems(
    spec: RefineSpec, begin: list[tuple[str, dict[str, Any]]], model: ModelDescription
) -> Iterator[FieldProblem]:
    """The first step that cannot work on what it is given, or whose results could not be attached."""
    for number, step in enumerate(spec.steps):
        misfits = [problem for field, one in begin if (problem := misfit(step, field, one, model)) is not None]
        if misfits:
            yield from misfits
            return
        configs, made = [config for _, config in begin], []
        for one in configs[:1] if step.gathers else configs:
            for choice in step.choices():
                try:
                    made.append(result_config(step.step, choice, configs if step.gathers else [one], model))
                    name, knobs, _ = split_config(made[-1])
                    method(name).complete(model, knobs)
                except InvalidInput as error:
                    yield FieldProblem(f"steps.{number}.{error.field}", error.found, error.allowed, error.message)
                    return
        begin = [(f"steps.{number + 1}.step", one) for n, one in enumerate(made) if one not in made[:n]][:MOST_SOURCES]

"""Checks of a job's search space: that it can be built, holds something, and that what it holds can be trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from search_spaces.errors import InvalidOverride, InvalidSpace, SpaceTooConstrained
from search_spaces.space import Space
from service.errors import FieldProblem
from service.jobs.did_you_mean import unknown_name
from service.jobs.search.problem import all_presets, build_space, references
from service.jobs.search.spec import JobSpec, SpaceSpec
from workers.errors import InvalidInput
from workers.hyperparameters import NO_STRATEGY, Hyperparameters, split_config
from workers.methods.declaration.untrained import UNTRAINED
from workers.methods.registry import method
from workers.models.description import ModelDescription
from workers.models.positions import check_scaled
from workers.running.packing import check_packing
from workers.running.stages import check_replay
from workers.strategies.registry import strategies, with_strategy_knobs
from workers.tasks.registry import tasks

SAMPLES = 64
"""Configurations that are drawn to see whether a space holds what can be trained."""


_ELSEWHERE = {"strategy": "space.strategies", "max_length": "task.max_length"}
"""Fields of a JobSpec that a space is refused for, where they lie beside it."""


def read_space(spec: SpaceSpec, model: ModelDescription | None) -> Space | list[FieldProblem]:
    """The space of a job, or what is wrong with it. Without a model, whatever it holds can be tried."""
    known = (NO_STRATEGY, *strategies())
    unknown = [name for name in spec.strategies if name not in known]
    problems = [unknown_name("space.strategies", name, known, "training strategy") for name in unknown]
    if spec.preset is not None and spec.preset not in all_presets():
        problems.append(unknown_name("space.preset", spec.preset, all_presets(), "preset"))
    if problems:
        return problems
    try:
        space = build_space(spec, model)
        configs = space.sample(SAMPLES, np.random.default_rng(0))
    except InvalidOverride as error:
        return list(_override_problems(spec, model)) or [_override_problem(error)]
    except SpaceTooConstrained as error:
        return [
            FieldProblem("space.constraints", len(spec.constraints), "constraints that leave something", str(error))
        ]
    except (InvalidSpace, InvalidInput) as error:
        if isinstance(error, InvalidInput) and error.field in _ELSEWHERE:
            return [FieldProblem(_ELSEWHERE[error.field], error.found, error.allowed, error.message)]
        return [FieldProblem("space", _named(spec), "a space that can be built", str(error))]
    if model is None:
        return space
    field = "space" if spec.preset is None else f"space.preset {spec.preset}"
    return list(_untrainable(field, configs[0], model)) or _first_untrainable(field, configs, model) or space


def _override_problems(spec: SpaceSpec, model: ModelDescription | None) -> Iterator[FieldProblem]:
    """What is wrong with each override by itself."""
    for name, change in spec.overrides.items():
        try:
            build_space(spec.model_copy(update={"overrides": {name: change}}), model)
        except InvalidOverride as error:
            yield _override_problem(error)


def _override_problem(error: InvalidOverride) -> FieldProblem:
    message = f"found {error.found!r}; allowed: {error.allowed}"
    return FieldProblem(f"space.overrides.{error.parameter}", error.found, error.allowed, message)


def check_references(spec: JobSpec, model: ModelDescription) -> list[FieldProblem]:
    """Problems of the references that a job lists (the usual ones are sound)."""
    if isinstance(spec.reference_trials, bool):
        return []
    return [
        problem
        for number, (_, config) in enumerate(references(spec, model))
        for problem in _untrainable(f"reference_trials.{number}", config, model)
    ]


def check_owned(spec: JobSpec, space: Space) -> list[FieldProblem]:
    """Hyperparameters in the space or the references that mean nothing for the job's type of task."""
    foreign = foreign_to(spec.task.type)
    found = {f"space.{name}": name.rpartition(".")[2] for name in space.by_name}
    if not isinstance(spec.reference_trials, bool):
        own = enumerate(spec.reference_trials)
        found |= {f"reference_trials.{n}.{name}": name for n, one in own if isinstance(one, dict) for name in one}
    problems = [
        FieldProblem(field, name, f"a job of type {foreign[name]}", f"{name} belongs to tasks of type {foreign[name]}")
        for field, name in found.items()
        if name in foreign
    ]
    if "self_training" in found.values() and getattr(spec.task, "unlabelled", "") is None:
        allowed = "a source of texts without labels"
        problems.append(FieldProblem("task.unlabelled", None, allowed, f"self_training: needs {allowed}"))
    if getattr(spec.task, "trusted", "") is None and _asks_for_trusted(spec, space):
        allowed = "a source of rows that are known to be right"
        problems.append(FieldProblem("task.trusted", None, allowed, f"drop_by: `color` needs {allowed}"))
    return problems


def _asks_for_trusted(spec: JobSpec, space: Space) -> bool:
    own = () if isinstance(spec.reference_trials, bool) else spec.reference_trials
    named = [one.get("drop_by") for one in own if isinstance(one, dict)]
    return "color" in (*named, *getattr(space.by_name.get("drop_by"), "choices", ()))


def foreign_to(kind: str) -> dict[str, str]:
    """Hyperparameters that mean nothing for a type of task, with the types that each belongs to."""
    owners: dict[str, list[str]] = {}
    for one in tasks().values():
        for name in one.hyperparameters:
            owners.setdefault(name, []).append(one.name)
    return {name: " or ".join(own) for name, own in owners.items() if kind not in own}


def check_batch(spec: JobSpec, space: Space, model: ModelDescription, rows: int) -> list[FieldProblem]:
    """A batch must fit into the training rows: in the space, in the reference trials and by default."""
    largest = _largest(space)
    problems = []
    if largest > rows:
        advice = f'narrow it: `overrides: {{batch_size: {{"value": {_power_below(rows)}}}}}`'
        message = f"batches of up to {largest} rows, and the training data has {rows}; {advice}, or give more rows"
        problems.append(FieldProblem("space.batch_size", largest, f"at most {rows}", message))
    for label, config in references(spec, model):
        size = config.get("batch_size", Hyperparameters().batch_size)
        if isinstance(size, int) and size > rows and config.get("method") not in UNTRAINED:
            message = (
                f"{label} trains with batches of {size} rows, and the training data has {rows}; give your own list"
            )
            problems.append(FieldProblem("reference_trials", size, f"at most {rows}", message))
    return problems


def _largest(space: Space) -> int:
    """The largest batch size that the space can propose."""
    found = [parameter for name, parameter in space.by_name.items() if name.rpartition(".")[2] == "batch_size"]
    if not found:
        return Hyperparameters().batch_size
    return max(int(value) for parameter in found for value in _extremes(parameter))


def _extremes(parameter: Any) -> tuple[Any, ...]:
    if hasattr(parameter, "high"):
        return (parameter.high,)
    return tuple(getattr(parameter, "values", ()) or getattr(parameter, "choices", ()))


def _power_below(rows: int) -> int:
    return 1 << max(rows.bit_length() - 1, 0)


def _first_untrainable(field: str, configs: list[dict[str, Any]], model: ModelDescription) -> list[FieldProblem]:
    return next((found for config in configs if (found := list(_untrainable(field, config, model)))), [])


def _untrainable(field: str, config: Mapping[str, Any], model: ModelDescription) -> Iterator[FieldProblem]:
    """Why a configuration cannot be trained: an unknown method or knob, a value out of range."""
    try:
        name, knobs, hyperparameters = split_config(config)
        method(name).complete(model, knobs)
        check_packing(hyperparameters, model)
        check_replay(hyperparameters, method(name))
        check_scaled(hyperparameters.position_scale, model)
        with_strategy_knobs(hyperparameters, method(name), model)
    except InvalidInput as error:
        where = _ELSEWHERE.get(error.field, f"{field}.{error.field}")
        yield FieldProblem(where, error.found, error.allowed, error.message)


def _named(spec: SpaceSpec) -> Any:
    return spec.preset if spec.preset is not None else [one.get("name") for one in spec.parameters or ()]

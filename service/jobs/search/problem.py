"""From a JobSpec to the problem that its optimizer solves. The API admits jobs with it, the proposer works from it.

Imports neither torch nor ray.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optimizers.problem import Config, Objective, OutcomeConstraint, Problem
from search_spaces.editing import apply_overrides
from search_spaces.errors import InvalidSpace
from search_spaces.presets import preset, preset_names
from search_spaces.presets.reference import (
    language_model_references,
    preference_references,
    random_entries,
    reference_configs,
)
from search_spaces.presets.shape import ModelShape
from search_spaces.space import Space
from service.errors import BadInput
from service.jobs.search.spec import JobSpec, SpaceSpec
from workers.errors import InvalidInput
from workers.hyperparameters import split_config
from workers.methods.declaration.untrained import UNTRAINED
from workers.methods.registry import method, methods
from workers.methods.space import PRESET as METHODS_PRESET
from workers.methods.space import methods_space
from workers.models.description import ModelDescription, describe_for
from workers.strategies.space import with_strategies
from workers.tasks.registry import task_of
from workers.tasks.section import TaskSection
from workers.tasks.task import Task


def build_problem(spec: JobSpec) -> Problem:
    """The search that a JobSpec describes.

    Raises:
        InvalidInput: the model or a method cannot be used.
        InvalidSpace: the space cannot be built as described.
    """
    model = model_of(spec)
    return problem_on(spec, build_space(spec.space, model), model)


def model_of(spec: JobSpec) -> ModelDescription | None:
    """The model that a job trains; None where its trials train none of ours. Raises `InvalidInput`."""
    return describe_for(spec.task) if isinstance(spec.task, TaskSection) else None


def stored_problem(spec: JobSpec) -> Problem:
    """The search of a stored job. Raises BadInput where it cannot be built any more, such as when its model is gone."""
    return problem_on(spec, *_stored(spec))


def stored_space(spec: JobSpec) -> Space:
    """The space of a stored job. Raises BadInput where it cannot be built any more."""
    return _stored(spec)[0]


def _stored(spec: JobSpec) -> tuple[Space, ModelDescription | None]:
    try:
        model = model_of(spec)
    except InvalidInput as error:
        raise BadInput(f"task.{error.field}", error.found, error.allowed, error.message) from None
    try:
        return build_space(spec.space, model), model
    except (InvalidInput, InvalidSpace) as error:
        found = spec.space.preset or "parameters of its own"
        raise BadInput("space", found, "a space that can be built", str(error)) from None


def problem_on(spec: JobSpec, space: Space, model: ModelDescription | None) -> Problem:
    """The same, when its space has been built and its model described already."""
    known: dict[str, Callable[[Config], float]] = {
        one.metric: FORMULAS[one.metric](model)
        for one in spec.objectives
        if model is not None and one.metric in FORMULAS
    }
    return Problem(
        space=space,
        objectives=tuple(Objective(one.metric, one.direction) for one in spec.objectives),
        constraints=tuple(OutcomeConstraint(one.metric, one.min, one.max) for one in spec.constraints),
        known=known,
        cost=None if spec.budget.wall_clock is None else "train_seconds",
        stand_ins={name: Objective("loss", "minimize") for name in spec.task.written_metrics()},
    )


def build_space(spec: SpaceSpec, model: ModelDescription | None) -> Space:
    """The space of a job, its overrides applied; without a model, of its own parameters. Raises InvalidSpace."""
    if spec.preset is not None and model is not None:
        space = _extended(preset_space(spec.preset, model), spec)
    else:
        fixed = [{"type": "categorical", "name": "method", "choices": [spec.method]}] if spec.method else []
        space = Space.from_json(
            {
                "parameters": [*fixed, *(spec.parameters or ())],
                "conditions": spec.conditions,
                "constraints": spec.constraints,
            }
        )
    if model is not None:
        space = with_strategies(space, spec.strategies, model)
    return apply_overrides(space, spec.overrides)


def _extended(space: Space, spec: SpaceSpec) -> Space:
    """A preset with what the job adds to it. Raises InvalidSpace."""
    if not (spec.parameters or spec.conditions or spec.constraints):
        return space
    whole = space.to_json()
    more = {"parameters": spec.parameters or [], "conditions": spec.conditions, "constraints": spec.constraints}
    return Space.from_json({part: [*whole.get(part, []), *added] for part, added in more.items()})


def preset_space(name: str, model: ModelDescription) -> Space:
    """A ready-made space on a model: a preset of the language of spaces, or a method's own. Raises InvalidSpace."""
    if name == METHODS_PRESET:
        return methods_space(model)
    if name not in preset_names() and name in methods():
        return method(name).space(model)
    return preset(name, model.shape)


def all_presets() -> tuple[str, ...]:
    """Names of every ready-made space."""
    return tuple(sorted({METHODS_PRESET, *preset_names(), *methods()}))


def references(spec: JobSpec, model: ModelDescription | None) -> list[tuple[str, dict[str, Any]]]:
    """The reference trials of a job as (label, configuration): the usual two, those it names, its own, or none."""
    if model is None:
        own = [] if isinstance(spec.reference_trials, bool) else spec.reference_trials
        return [(f"reference-{number}", one) for number, one in enumerate(own, start=1) if isinstance(one, dict)]
    assert isinstance(spec.task, TaskSection), "only these have a model"
    fresh, usual = reference_configs(model.shape), usual_references(task_of(spec.task), model.shape)
    if isinstance(spec.reference_trials, bool):
        return usual if spec.reference_trials else []
    untrained = [(name, {"method": name}) for name in UNTRAINED]
    named = dict([*untrained, *language_model_references(model.shape), *fresh, *usual])
    label, config = random_entries(model.shape, int(trainable_params(model)(named["literature-default"])))
    named[label] = config
    return [
        (one, named[one]) if isinstance(one, str) else (f"reference-{number}", one)
        for number, one in enumerate(spec.reference_trials, start=1)
    ]


def usual_references(task: Task, shape: ModelShape) -> list[tuple[str, dict[str, Any]]]:
    """What searches of a type begin with, as (label, configuration), the literature's default among them.

    What needs no model comes first; then by whether its head is trained from nothing, and whether it compares with the
    base, so that leaving it has a price.
    """
    baselines: list[tuple[str, dict[str, Any]]] = [(name, {"method": name}) for name in task.baselines]
    if task.head.fresh:
        return [*baselines, *reference_configs(shape)]
    own = preference_references if "dpo_beta" in task.hyperparameters else language_model_references
    return [*baselines, *own(shape)]


def trainable_params(model: ModelDescription) -> Callable[[Config], float]:
    """Number of trained parameters of a configuration on a model, the head not counted."""

    def count(config: Mapping[str, Any]) -> float:
        name, knobs, _ = split_config(config)
        chosen = method(name)
        return float(chosen.trainable_parameters(model, chosen.complete(model, knobs)))

    return count


FORMULAS: Mapping[str, Callable[[ModelDescription], Callable[[Config], float]]] = {"trainable_params": trainable_params}
"""Metrics that follow from the configuration alone; a test compares them with the catalogue of metrics."""

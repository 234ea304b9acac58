"""Checks of `resources.shards`: what a base in parts cannot do is refused before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search_spaces.space import Space
from service.errors import FieldProblem
from service.jobs.search.problem import references
from service.jobs.search.spec import JobSpec, ResourcesSpec
from workers.hyperparameters import split_config
from workers.models.description import ModelDescription
from workers.running.sharding import NEEDS_WHOLE

_NARROW = "a preset is narrowed by `overrides: {method: {choices: [...]}}`"


def check_sharding(spec: JobSpec) -> list[FieldProblem]:
    """Settings of a search that exclude a sharded base."""
    return [] if spec.resources.shards == 1 else [*_resource_problems(spec.resources), *_latency_problems(spec)]


def check_sharded_method(resources: ResourcesSpec, name: str) -> list[FieldProblem]:
    """Settings of a job with one method, and a method, that exclude a sharded base."""
    if resources.shards == 1:
        return []
    problems = list(_resource_problems(resources))
    if name in NEEDS_WHOLE:
        why = f"{name} cannot be trained on it, as {NEEDS_WHOLE[name]}"
        problems.append(_problem("method", name, "another method", why))
    return problems


def check_sharded_methods(spec: JobSpec, space: Space, model: ModelDescription) -> list[FieldProblem]:
    """Methods in the space, or among the reference trials, that need the whole base in one place."""
    if spec.resources.shards == 1:
        return []
    named = {
        "space": (getattr(space.by_name.get("method"), "choices", ()), f"other methods ({_NARROW})"),
        "reference_trials": ([split_config(config)[0] for _, config in references(spec, model)], "other methods"),
    }
    return [
        _problem(
            field,
            unfit,
            allowed,
            "; ".join(f"{name} cannot be trained on it, as {NEEDS_WHOLE[name]}" for name in unfit),
        )
        for field, (names, allowed) in named.items()
        if (unfit := [name for name in names if name in NEEDS_WHOLE])
    ]


def _resource_problems(resources: ResourcesSpec) -> Iterator[FieldProblem]:
    shards, gpus = resources.shards, resources.gpus_per_trial
    if gpus not in (0, shards):
        allowed = f"{shards}, or 0 to train on CPUs"
        yield _problem("resources.gpus_per_trial", gpus, allowed, f"each of the {shards} shards takes one GPU")
    if resources.engine == "fast":
        yield _problem("resources.engine", "fast", "auto or reference", "the reference engine trains on a sharded base")
    if resources.quantise is not None:
        yield _problem("resources.quantise", resources.quantise, "nothing", "a sharded base keeps its number format")
    if resources.pack not in ("auto", 1):
        yield _problem("resources.pack", resources.pack, "auto or 1", "trials on a sharded base do not share passes")
    if resources.executor != "ray":
        yield _problem("resources.executor", resources.executor, "ray", "an outside worker trains in one process")


def _latency_problems(spec: JobSpec) -> Iterator[FieldProblem]:
    named = [(f"objectives.{number}.metric", one.metric) for number, one in enumerate(spec.objectives)]
    named += [(f"constraints.{number}.metric", one.metric) for number, one in enumerate(spec.constraints)]
    for field, metric in named:
        if metric.startswith("latency"):
            yield _problem(field, metric, "metrics other than latency", "latency is not measured on a sharded base")


def _problem(field: str, found: Any, allowed: str, why: str) -> FieldProblem:
    return FieldProblem(field, found, allowed, f"resources.shards: {why}; found {found!r}, allowed: {allowed}")

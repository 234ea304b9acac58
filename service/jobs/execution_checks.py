"""Checks of how trials are to be trained: what a base in parts or few bits cannot do is refused first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from search_spaces.space import Space
from service.errors import FieldProblem
from service.jobs.search.problem import references
from service.jobs.search.spec import JobSpec, ResourcesSpec
from workers.hyperparameters import split_config
from workers.models.description import ModelDescription
from workers.models.quantisation import METHODS as TRAIN_ON_QUANTISED
from workers.running.sharding import NEEDS_WHOLE, WHOLE_BATCH, needs_whole_batch
from workers.tasks.section import TaskSection

_NARROW = "a preset is narrowed by `overrides: {method: {choices: [...]}}`"


def check_sharding(spec: JobSpec) -> list[FieldProblem]:
    """Settings of a search that exclude a sharded base."""
    if spec.resources.shards == 1:
        return []
    task = spec.task if isinstance(spec.task, TaskSection) else None
    tokens = (
        {} if task is None else {"trainable_token_indices": task.trained_tokens(), "new_tokens": task.added_tokens()}
    )
    why = "embeddings that are divided cannot be trained token by token"
    more = [_problem(f"task.{name}", list(found), "none", why) for name, found in tokens.items() if found]
    divided = [_problem("resources.shards", spec.resources.shards, "1", WHOLE_BATCH)]
    own = divided if needs_whole_batch(spec.task) else []
    return [*own, *_resource_problems(spec.resources), *_latency_problems(spec), *more]


def check_one_method(resources: ResourcesSpec, name: str) -> list[FieldProblem]:
    """Settings of a job with one method, and the method, that exclude what `resources` ask for."""
    whole = [] if resources.shards == 1 else _resource_problems(resources)
    return [*whole, *_method_problems(resources, "method", [name], "another method")]


def check_methods(spec: JobSpec, space: Space, model: ModelDescription) -> list[FieldProblem]:
    """Methods in the space, or among the reference trials, that cannot be trained as the job asks for."""
    named = {
        "space": (getattr(space.by_name.get("method"), "choices", ()), f"other methods ({_NARROW})"),
        "reference_trials": ([split_config(config)[0] for _, config in references(spec, model)], "other methods"),
    }
    return [
        problem
        for field, (names, allowed) in named.items()
        for problem in _method_problems(spec.resources, field, names, allowed)
    ]


def _method_problems(
    resources: ResourcesSpec, field: str, names: Sequence[str], allowed: str
) -> Iterator[FieldProblem]:
    if resources.shards > 1 and (unfit := [name for name in names if name in NEEDS_WHOLE]):
        why = "; ".join(f"{name} cannot be trained on it, as {NEEDS_WHOLE[name]}" for name in unfit)
        yield _problem(field, unfit, allowed, why)
    if resources.quantise is not None and (unfit := [name for name in names if name not in TRAIN_ON_QUANTISED]):
        some = f"{', '.join(unfit[:3])}{f' and {len(unfit) - 3} more' if len(unfit) > 3 else ''}"
        own = f"{', '.join(sorted(TRAIN_ON_QUANTISED))}; {allowed}"
        why = f"a base in {resources.quantise} cannot be trained on by {some}, which need its weights as they are"
        yield FieldProblem(field, unfit, own, f"resources.quantise: {why}; allowed: {own}")


def _resource_problems(resources: ResourcesSpec) -> Iterator[FieldProblem]:
    shards, gpus = resources.shards, resources.gpus_per_trial
    if gpus not in (0, shards):
        allowed = f"{shards}, or 0 to train on CPUs"
        yield _problem("resources.gpus_per_trial", gpus, allowed, f"each of the {shards} shards takes one GPU")
    if resources.engine == "fast":
        yield _problem("resources.engine", "fast", "auto or reference", "the reference engine trains on a sharded base")
    if resources.quantise is not None:
        yield _problem("resources.quantise", resources.quantise, "nothing", "a sharded base keeps its number format")
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

"""All types of task, found by reading the files of `workers/tasks/catalogue/`, and the metrics of all. No torch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from workers.errors import InvalidInput
from workers.tasks import catalogue
from workers.tasks.metrics import COSTS, FORGETTING, TRAIN_LOSS, WORST_DOMAIN, Metric
from workers.tasks.section import TaskSection, TypeSection
from workers.tasks.task import Task, TaskType


@cache
def types() -> Mapping[str, TaskType]:
    """Types of task by name: each file of the catalogue gives its `TASK`."""
    found: dict[str, TaskType] = {}
    for info in sorted(pkgutil.iter_modules(catalogue.__path__), key=lambda info: info.name):
        one: TaskType = importlib.import_module(f"{catalogue.__name__}.{info.name}").TASK
        if one.name in found:
            raise ValueError(f"two types of task are named {one.name!r}")
        found[one.name] = one
    return MappingProxyType(found)


@cache
def tasks() -> Mapping[str, Task]:
    """Those whose trials train a model on data."""
    return MappingProxyType({name: one for name, one in types().items() if isinstance(one, Task)})


def type_of(section: TypeSection) -> TaskType:
    """The type of a job's task, whatever its trials are."""
    return types()[section.type]


def task_of(section: TaskSection) -> Task:
    """The type of a job's task."""
    return task(section.type)


def task(name: str) -> Task:
    """One type. Raises `InvalidInput` for a name that is not registered."""
    if name not in tasks():
        raise InvalidInput("type", name, tasks())
    return tasks()[name]


def metrics_of(one: TaskType) -> Mapping[str, Metric]:
    """What a trial of this type reports, by name."""
    own = {metric.name: metric for metric in (*one.metrics, *one.compared)}
    training = replace(TRAIN_LOSS, unit=own["loss"].unit)
    return MappingProxyType(own | {metric.name: metric for metric in (training, *COSTS)})


def metrics_for(section: TaskSection) -> Mapping[str, Metric]:
    """What a trial of a job reports, by name: the metrics of its type, those of answers that it asks
    for, and its own."""
    one = task_of(section)
    asked = {metric.name: metric for metric in one.written if metric.name in section.written_metrics()}
    own = {metric.name: metric for metric in (*section.judged_metrics(), *section.further_metrics())}
    options = {metric.name: metric for field, metric in _optional(one).items() if getattr(section, field) is not None}
    return MappingProxyType(dict(metrics_of(one)) | asked | own | options)


def option_of(metric: str) -> str | None:
    """The field of the section that a metric needs; None for metrics that need none."""
    return next((field for field, one in _OPTIONAL.items() if one.name == metric), None)


_OPTIONAL = {"domain": WORST_DOMAIN, "knowledge": FORGETTING}
"""Metrics that every type has whose section has the field, where a job fills it in."""


def _optional(one: TaskType) -> dict[str, Metric]:
    fields = one.section.model_fields
    found = {field: metric for field, metric in _OPTIONAL.items() if field in fields}
    if "domain" in found:
        first = one.metrics[0]
        found["domain"] = replace(WORST_DOMAIN, direction=first.direction, unit=first.unit)
    return found


def measurable(one: TaskType) -> Mapping[str, Metric]:
    """What trials of a type can report, by name, whatever their job asks for."""
    if not one.metrics:
        return MappingProxyType({})
    more = {metric.name: metric for metric in (*one.written, *_optional(one).values())}
    return MappingProxyType(dict(metrics_of(one)) | more)


def _all_metrics() -> Mapping[str, Metric]:
    found: dict[str, Metric] = {}
    for one in types().values():
        for metric in (*one.metrics, *one.compared, *one.written):
            known = found.setdefault(metric.name, metric)
            if known.direction != metric.direction:
                raise ValueError(f"{one.name} gives the metric {metric.name!r} another direction")
    return MappingProxyType(found | {one.name: one for one in (TRAIN_LOSS, *_OPTIONAL.values(), *COSTS)})


METRICS = _all_metrics()
"""Every metric of every type, by name: what can be an objective, a constraint or a column."""

"""Which types a task among others can be, and what is measured of each. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.catalogue.text_regression import TASK as REGRESSION
from workers.tasks.catalogue.token_classification import TASK as TOKENS
from workers.tasks.metrics import Metric
from workers.tasks.task import Task

KINDS: Mapping[str, Task] = {one.name: one for one in (CLASSIFICATION, REGRESSION, TOKENS)}


def part_metrics(tasks: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The metrics of each task, named after it."""
    return tuple(
        replace(metric, name=f"{name}.{metric.name}", description=f"of {name}: {metric.description}")
        for name, part in tasks.items()
        for metric in KINDS[part.type].metrics
    )

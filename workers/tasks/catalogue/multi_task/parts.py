"""Which types a task among others can be, and what is measured of each. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.data.rows import Targets
from workers.tasks.catalogue.question_answering import TASK as QUESTIONS
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.catalogue.text_regression import TASK as REGRESSION
from workers.tasks.catalogue.token_classification import TASK as TOKENS
from workers.tasks.coded_targets import indices_in, numbers_in
from workers.tasks.metrics import Metric
from workers.tasks.task import Task

KINDS: Mapping[str, Task] = {one.name: one for one in (CLASSIFICATION, REGRESSION, TOKENS, QUESTIONS)}

UNANSWERED = (0, 0)
"""The span of a question without an answer: of a task's row at least one target must tell whose it is."""


def part_metrics(tasks: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The metrics of each task, named after it."""
    return tuple(
        replace(metric, name=f"{name}.{metric.name}", description=f"of {name}: {metric.description}")
        for name, part in tasks.items()
        for metric in KINDS[part.type].metrics
    )


def decoded(kind: str, codes: Targets) -> Targets:
    """Targets of rows of one task of a type, an int32 array each [rows], as that type has them by itself."""
    if kind in (TOKENS.name, QUESTIONS.name):
        each = np.empty(len(codes), dtype=object)
        each[:] = [_answered(indices_in(row)) if kind == QUESTIONS.name else indices_in(row) for row in codes]
        return each
    first = np.array([row[0] for row in codes], dtype=np.int32)
    return numbers_in(first) if kind == REGRESSION.name else indices_in(first)


def _answered(spans: NDArray[np.int32]) -> NDArray[np.int32]:
    """Spans of answers as a question has them, of which it may have none."""
    return spans[:0] if tuple(spans) == UNANSWERED else spans

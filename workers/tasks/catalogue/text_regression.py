"""`text-regression`: one number for a text or a pair of texts, such as how alike two sentences are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workers.bounded import Name
from workers.data.columns import Columns, brief
from workers.data.domains import domains_of
from workers.data.rows import Rows, Targets, TaskData
from workers.data.sources import divided, read_splits, texts_of
from workers.data.tokens import encode_texts
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.models.heads import SEQUENCE
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.criterion import Criterion, Unit
from workers.tasks.metrics import Metric
from workers.tasks.section import TextSection
from workers.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor

SPEARMAN = Metric(
    "spearman", "quality", "maximize", "", "correlation of the ranks of predictions and labels", low=-1, high=1
)
PEARSON = Metric("pearson", "quality", "maximize", "", "correlation of predictions and labels", low=-1, high=1)
RMSE = Metric("rmse", "quality", "minimize", "", "root of the mean squared error, in the unit of the label")
SQUARED = Metric(
    "loss", "quality", "minimize", "", "mean squared error on the validation rows over the variance of training labels"
)


class TextRegressionSpec(TextSection):
    """The `task` section of a text regression."""

    type: Literal["text-regression"] = "text-regression"
    label: Name = Field(default="label", description="column of the number")


def read(task: TextRegressionSpec, seed: int = 0) -> TaskData:
    """The rows of a task. Raises `InvalidInput` naming the field."""
    rows = {}
    for role, parts in read_splits(task, task.text_columns(), task.label).items():
        first, *second = (texts_of(parts, name, role) for name in task.text_columns())
        pairs, domains = second[0] if second else None, domains_of(task, parts)
        rows[role] = Rows(first, pairs, _numbers(parts, task.label), domains=domains)
    if len(set(rows["train"].targets.tolist())) < 2:
        raise InvalidInput("label", f"the same number in every row of {task.train}", "numbers that differ")
    return divided(task, seed, (task.label,), rows, strata=lambda rows: np.zeros(len(rows), dtype=np.int64))


def _numbers(parts: Sequence[Columns], column: str) -> NDArray[np.float32]:
    found = []
    for part in parts:
        for row, value in enumerate(part.values[column]):
            number = _number(value)
            if not math.isfinite(number):
                raise InvalidInput("label", f"{brief(value)} in {part.place(row, column)}", "a number in every row")
            found.append(number)
    return np.array(found, dtype=np.float32)


def _number(value: object) -> float:
    """A cell as a number; NaN where it is none, or none that 32 bits hold."""
    try:
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        return math.nan
    return number if abs(number) <= float(np.finfo(np.float32).max) else math.nan


def squared_error(outputs: Tensor, targets: Tensor, _hyperparameters: Hyperparameters) -> Tensor:
    """Squared differences of outputs `[rows, 1]` and numbers `[rows]`, summed."""
    return (outputs[:, 0] - targets).square().sum()


class RegressionMeasure:
    """Correlations and errors of outputs `[rows, 1]`. Ranks need all rows: it keeps two numbers of each.

    `spread` is the label's unit in that of the outputs: the one error that is reported in it is multiplied.
    """

    def __init__(self, spread: float = 1.0) -> None:
        self._spread = spread
        self._predicted: list[NDArray[np.float64]] = []
        self._true: list[NDArray[np.float64]] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in outputs `[rows, 1]` and numbers `[rows]`."""
        self._predicted.append(outputs[:, 0].double().cpu().numpy())
        self._true.append(targets.double().cpu().numpy())

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._predicted += other._predicted
        self._true += other._true

    def result(self) -> dict[str, float]:
        """The metrics of all rows."""
        from scipy.stats import rankdata

        predicted, true = np.concatenate(self._predicted), np.concatenate(self._true)
        error = float(np.square(predicted - true).mean())
        ranks = correlation(rankdata(predicted), rankdata(true))
        rmse = self._spread * math.sqrt(error)
        return {"spearman": ranks, "pearson": correlation(predicted, true), "rmse": rmse, "loss": error}


def fit(targets: Targets, constant: bool) -> Criterion:
    """The criterion for numbers of mean 0 and variance 1 over the training rows `targets` [rows]: a head starts near 0
    and moves by its learning rate, so labels far from 0, or of another size, would take all training to be reached.

    A head that adds no `constant` is left the mean to learn: there only the size becomes 1.
    """
    numbers = targets.astype(np.float64)
    mean = float(numbers.mean()) if constant else 0.0
    unit = Unit(mean, math.sqrt(float(np.square(numbers - mean).mean())) or 1.0)
    return Criterion("row", squared_error, partial(RegressionMeasure, unit.spread), unit=unit)


def correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Pearson's correlation of two columns [rows]; 0 where one is constant."""
    left, right = left - left.mean(), right - right.mean()
    scale = math.sqrt(float(left @ left) * float(right @ right))
    return max(-1.0, min(1.0, float(left @ right) / scale)) if scale > 0 else 0.0


TASK = Task(
    name="text-regression",
    summary="a number for a text or a pair of texts",
    pipeline_tag=CLASSIFICATION.pipeline_tag,  # Hugging Face has no name for one number
    section=TextRegressionSpec,
    metrics=(SPEARMAN, PEARSON, RMSE, SQUARED),
    head=SEQUENCE,
    read=read,
    encode=encode_texts,
    fit=fit,
    criterion=lambda _task, _labels: Criterion("row", squared_error, RegressionMeasure),
    example={
        "model": "builtin:minilm",
        "train": "builtin:pydocs",
        "label": "log2_words",
        "max_length": 64,
        "train_rows": 1000,
    },
)

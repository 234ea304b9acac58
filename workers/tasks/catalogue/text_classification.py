"""`text-classification`: one class for a text or a pair of texts."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from workers.bounded import INT32, Location, Name
from workers.data.demonstrations import apart
from workers.data.domains import domains_of
from workers.data.labels import Labels, check_names, check_repeated, class_indices, read_labels
from workers.data.rows import Rows, TaskData
from workers.data.sources import divided, read_beside, read_splits, texts_of
from workers.data.tokens import encode_texts
from workers.models.heads import SEQUENCE
from workers.tasks.criterion import Criterion
from workers.tasks.metrics import ACCURACY, F1_MACRO, LOSS, MCC
from workers.tasks.section import TextSection, TrustedSection
from workers.tasks.task import Task


class TextClassificationSpec(TextSection, TrustedSection):
    """The `task` section of a text classification."""

    type: Literal["text-classification"] = "text-classification"
    label: Name = Field(default="label", description="column of the class: text or numbers, taken as written")
    path_fields: ClassVar[tuple[str, ...]] = (*TrustedSection.path_fields, "unlabelled")
    unlabelled: Location | None = Field(
        default=None, description="texts without labels, a data source like `train`, for trials with `self_training`"
    )
    unlabelled_rows: int | None = Field(
        default=None, ge=1, le=INT32, description="use a seeded sample of so many of them"
    )


def read(task: TextClassificationSpec, seed: int = 0) -> TaskData:
    """The rows of a task with the classes of its training rows. Raises `InvalidInput` naming the field."""
    parts = read_splits(task, task.text_columns(), task.label)
    texts = {role: [texts_of(own, name, role) for name in task.text_columns()] for role, own in parts.items()}
    labels = {role: read_labels(own, task.label) for role, own in parts.items()}
    train = labels["train"]
    classes = train.classes()
    check_names(train)
    indices = {role: class_indices(own, classes, train, role) for role, own in labels.items()}
    rows = {
        role: Rows(first, second[0] if second else None, indices[role], domains=domains_of(task, parts[role]))
        for role, (first, *second) in texts.items()
    }
    check_repeated(train, classes, list(indices.values()))
    data = divided(task, seed, classes, rows, strata=lambda rows: rows.targets)
    pool = None if task.unlabelled is None else _pool(task, task.unlabelled, data, seed)
    return replace(data, pool=pool, trusted=_trusted(task, train, data, seed))


def _trusted(task: TextClassificationSpec, train: Labels, data: TaskData, seed: int) -> Rows | None:
    """Rows that are known to be right, of the classes of the training rows; None where the job names none."""
    if task.trusted is None:
        return None
    parts = read_beside(task.trusted, "trusted", task.text_columns(), task.label)
    first, *second = [texts_of(parts, name, "trusted") for name in task.text_columns()]
    indices = class_indices(read_labels(parts, task.label), data.labels, train, "trusted")
    rows = Rows(first, second[0] if second else None, indices)
    return apart(rows, data, task.trusted, "trusted", task.trusted_rows, seed)


def _pool(task: TextClassificationSpec, source: str, data: TaskData, seed: int) -> Rows:
    """Texts without labels that stand in none of the splits, in any case and punctuation."""
    parts = read_beside(source, "unlabelled", task.text_columns())
    first, *second = [texts_of(parts, name, "unlabelled") for name in task.text_columns()]
    rows = Rows(first, second[0] if second else None, np.zeros(len(first), dtype=np.int32))
    return apart(rows, data, source, "unlabelled", task.unlabelled_rows, seed)


def _criterion(_task: TextClassificationSpec, classes: tuple[str, ...]) -> Criterion:
    from workers.tasks.losses import row_loss
    from workers.tasks.measures import ClassificationMeasure

    return Criterion("row", row_loss, lambda: ClassificationMeasure(len(classes)))


TASK = Task(
    name="text-classification",
    summary="one class for a text or a pair of texts",
    pipeline_tag="text-classification",
    section=TextClassificationSpec,
    metrics=(ACCURACY, F1_MACRO, MCC, LOSS),
    hyperparameters=(
        "eda_copies",
        "eda_share",
        "mixup",
        "contrast",
        "demos",
        "neighbours",
        "neighbour_share",
        "self_training",
        "pool_share",
        "drop_share",
        "drop_by",
    ),
    head=SEQUENCE,
    read=read,
    encode=encode_texts,
    criterion=_criterion,
    trains_plainly=True,
    example={"model": "builtin:minilm", "train": "builtin:pydocs", "max_length": 64, "train_rows": 1000},
)

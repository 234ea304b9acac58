"""`text-classification`: one class for a text or a pair of texts."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from workers.bounded import INT32, Location, Name
from workers.data.demonstrations import said
from workers.data.domains import domains_of
from workers.data.labels import check_names, check_repeated, class_indices, read_labels
from workers.data.rows import Rows, TaskData
from workers.data.sources import divided, read_splits, read_unlabelled, texts_of
from workers.data.tokens import encode_texts
from workers.errors import InvalidInput
from workers.models.heads import SEQUENCE
from workers.tasks.criterion import Criterion
from workers.tasks.metrics import ACCURACY, F1_MACRO, LOSS, MCC
from workers.tasks.section import TextSection
from workers.tasks.task import Task


class TextClassificationSpec(TextSection):
    """The `task` section of a text classification."""

    type: Literal["text-classification"] = "text-classification"
    label: Name = Field(default="label", description="column of the class: text or numbers, taken as written")
    path_fields: ClassVar[tuple[str, ...]] = (*TextSection.path_fields, "unlabelled")
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
    return data if task.unlabelled is None else replace(data, pool=_pool(task, task.unlabelled, data, seed))


def _pool(task: TextClassificationSpec, source: str, data: TaskData, seed: int) -> Rows:
    """Texts without labels that stand in none of the splits, in any case and punctuation."""
    parts = read_unlabelled(source, task.text_columns())
    first, *second = [texts_of(parts, name, "unlabelled") for name in task.text_columns()]
    rows = Rows(first, second[0] if second else None, np.zeros(len(first), dtype=np.int32))
    splits = (data.train, data.validation, *(() if data.test is None else (data.test,)))
    known = {said(split, row) for split in splits for row in range(len(split))}
    kept = np.array([row for row in range(len(rows)) if said(rows, row) not in known], dtype=np.int64)
    if not len(kept):
        raise InvalidInput("unlabelled", f"{source}, all of whose texts stand in a split", "texts of its own")
    if task.unlabelled_rows is not None:
        if task.unlabelled_rows > len(kept):
            allowed = f"at most the {len(kept)} rows there are"
            raise InvalidInput("unlabelled_rows", task.unlabelled_rows, allowed)
        kept = np.sort(np.random.default_rng(seed).permutation(kept)[: task.unlabelled_rows])
    return rows.take(kept)


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
    ),
    head=SEQUENCE,
    read=read,
    encode=encode_texts,
    criterion=_criterion,
    example={"model": "builtin:minilm", "train": "builtin:pydocs", "max_length": 64, "train_rows": 1000},
)

"""`text-classification`: one class for a text or a pair of texts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workers.bounded import Name
from workers.data.domains import domains_of
from workers.data.labels import check_names, check_repeated, class_indices, read_labels
from workers.data.rows import Rows, TaskData
from workers.data.sources import divided, read_splits, texts_of
from workers.data.tokens import encode_texts
from workers.models.heads import SEQUENCE
from workers.tasks.criterion import Criterion
from workers.tasks.metrics import ACCURACY, F1_MACRO, LOSS, MCC
from workers.tasks.section import TextSection
from workers.tasks.task import Task


class TextClassificationSpec(TextSection):
    """The `task` section of a text classification."""

    type: Literal["text-classification"] = "text-classification"
    label: Name = Field(default="label", description="column of the class: text or numbers, taken as written")


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
    return divided(task, seed, classes, rows, strata=lambda rows: rows.targets)


def _criterion(_task: TextClassificationSpec, classes: tuple[str, ...]) -> Criterion:
    from workers.tasks.losses import classification_loss
    from workers.tasks.measures import ClassificationMeasure

    return Criterion("row", classification_loss, lambda: ClassificationMeasure(len(classes)))


TASK = Task(
    name="text-classification",
    summary="one class for a text or a pair of texts",
    pipeline_tag="text-classification",
    section=TextClassificationSpec,
    metrics=(ACCURACY, F1_MACRO, MCC, LOSS),
    hyperparameters=("eda_copies", "eda_share", "demos", "neighbours", "neighbour_share"),
    head=SEQUENCE,
    read=read,
    encode=encode_texts,
    criterion=_criterion,
    example={"model": "builtin:minilm", "train": "builtin:pydocs", "max_length": 64, "train_rows": 1000},
)

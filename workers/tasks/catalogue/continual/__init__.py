"""`continual`: text classifications that are learnt one after another by one model, which is never told the task.

All classes are outputs of one head. Each task has `epochs` passes over its rows, and over the rows of earlier tasks
that `replay` keeps; none of the others are seen again. Everything is measured before the first task and behind each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workers.data.rows import Rows
from workers.data.tokens import Tokens, encode_texts
from workers.models.heads import SEQUENCE
from workers.tasks.catalogue.continual.rows import of_each, read
from workers.tasks.catalogue.continual.section import ContinualSpec
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.coded_targets import tasks_of
from workers.tasks.criterion import Criterion
from workers.tasks.metrics import LOSS, Metric
from workers.tasks.task import Task

AVERAGE = Metric("average_accuracy", "quality", "maximize", "", "the mean over tasks of the accuracy on each", high=1)
TASK_ACCURACY = Metric(
    "task_accuracy", "quality", "maximize", "", "share of rows that are given a class which their task has", high=1
)
FORGETTING = Metric(
    "average_forgetting",
    "quality",
    "minimize",
    "",
    "the best accuracy on each earlier task minus that of now, in the mean",
    low=-1,
    high=1,
)
BACKWARD = Metric(
    "backward_transfer",
    "quality",
    "maximize",
    "",
    "the accuracy of now on each earlier task minus that behind it, in the mean",
    low=-1,
    high=1,
)
FORWARD = Metric(
    "forward_transfer",
    "quality",
    "maximize",
    "",
    "the accuracy on each task before it is learnt minus that before any training, in the mean",
    low=-1,
    high=1,
)


def _criterion(section: ContinualSpec, labels: tuple[str, ...]) -> Criterion:
    from workers.tasks.catalogue.continual.criterion import criterion_of

    return criterion_of(section, labels)


def _on_split(criterion: Criterion, _section: Any, _rows: Rows, tokens: Tokens) -> Criterion:
    return replace(criterion, tasks=tasks_of(tokens.targets))


TASK = Task(
    name="continual",
    summary="text classifications in turn, by a model that is never told which of them a text is of",
    pipeline_tag=CLASSIFICATION.pipeline_tag,
    section=ContinualSpec,
    metrics=(AVERAGE, TASK_ACCURACY, LOSS),
    compared=(FORGETTING, BACKWARD, FORWARD),
    objectives=((AVERAGE.name, "maximize"), (FORGETTING.name, "minimize")),
    space={"preset": "lora", "parameters": [{"type": "int", "name": "replay", "low": 0, "high": 500}]},
    hyperparameters=("replay",),
    head=SEQUENCE,
    read=read,
    parted=of_each,
    encode=encode_texts,
    criterion=_criterion,
    on_split=_on_split,
    example={
        "model": "builtin:minilm",
        "max_length": 64,
        "train_rows": 200,
        "tasks": {
            "definitions": {"train": "builtin:pydocs", "classes": ["class", "module"]},
            "callables": {"train": "builtin:pydocs", "classes": ["function", "method"]},
        },
    },
)

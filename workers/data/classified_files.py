"""Rows that are files with a class each: from the sources of a task to its splits."""

from __future__ import annotations

from functools import partial

from workers.data.attached_files import Medium, class_folders, files_of
from workers.data.domains import domains_of
from workers.data.labels import check_names, check_repeated, class_indices, read_labels
from workers.data.rows import Rows, TaskData
from workers.data.sources import divided, read_splits
from workers.tasks.section import TaskSection


def classified_files(task: TaskSection, column: str, label: str, medium: Medium, seed: int) -> TaskData:
    """The rows of a task with the classes of its training rows, from tables with a `column` of files and a `label`, or
    from folders for each class. Raises `InvalidInput` naming the field."""
    parts = read_splits(task, (column,), label, partial(class_folders, medium))
    labels = {role: read_labels(own, label) for role, own in parts.items()}
    train = labels["train"]
    classes = train.classes()
    check_names(train)
    indices = {role: class_indices(own, classes, train, role) for role, own in labels.items()}
    check_repeated(train, classes, list(indices.values()))
    rows = {
        role: Rows(files_of(own, column, medium), None, indices[role], domains=domains_of(task, own))
        for role, own in parts.items()
    }
    return divided(task, seed, classes, rows, strata=lambda rows: rows.targets)

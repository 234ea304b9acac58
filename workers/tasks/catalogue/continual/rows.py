"""Rows of tasks in turn, with the classes of all of them as outputs. Imports no torch.

A target is one int32: the number of its task above the index of its class, as those of several tasks at once are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from workers.data.rows import Rows, Targets, TaskData
from workers.data.splits import balanced_sample
from workers.errors import InvalidInput
from workers.tasks.catalogue.continual.section import ContinualPart, ContinualSpec
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.coded_targets import coded, indices_in
from workers.tasks.several_tasks import joined, parted


def read(task: ContinualSpec, seed: int = 0) -> TaskData:
    """The rows of all tasks in their order. Raises `InvalidInput` naming the task and its field."""
    found = task.of_each(lambda part: _of_classes(part, seed))
    labels = tuple(dict.fromkeys(label for data in found.values() for label in data.labels))
    return joined(labels, found, lambda parts: _in_turn(found, labels, parts))


def of_each(task: ContinualSpec, data: TaskData) -> dict[str, TaskData]:
    """The rows of each task by themselves, with the labels that it teaches: what `read` put together."""
    found = {}
    for name in task.tasks:
        codes = data.train.take(data.train.of_domain(name)).targets
        classes = np.unique(indices_in(codes))
        labels = tuple(data.labels[place] for place in classes)
        found[name] = parted(data, name, labels, partial(_among, classes))
    return found


def _among(classes: NDArray[np.int32], codes: Targets) -> Targets:
    """The places of codes' classes among those of a task, which are in order; -1 for a class of others."""
    places = np.searchsorted(classes, indices := indices_in(codes)).clip(max=len(classes) - 1)
    return np.where(classes[places] == indices, places, -1).astype(np.int32)


def _of_classes(part: ContinualPart, seed: int) -> TaskData:
    """A task's own rows: those of its classes where it names some, sampled as ever."""
    if part.classes is None:
        return CLASSIFICATION.read(part, seed)
    whole = CLASSIFICATION.read(part.model_copy(update={"train_rows": None, "validation_rows": None}), seed)
    for name in part.classes:
        if name not in whole.labels:
            raise InvalidInput("classes", name, f"labels of its `train`: {', '.join(whole.labels)}")
    wanted = np.array([whole.labels.index(name) for name in part.classes])

    def own(rows: Rows, role: str, count: int | None, seed: int) -> Rows:
        kept = rows.take(np.flatnonzero(np.isin(rows.targets, wanted)))
        if not len(kept):
            raise InvalidInput("classes", ", ".join(part.classes or ()), f"classes that `{role}` has rows of")
        if count is not None and count > len(kept):
            raise InvalidInput(f"{role}_rows", count, f"at most the {len(kept)} rows of these classes")
        places = np.searchsorted(wanted, kept.targets, sorter=np.argsort(wanted))
        kept = Rows(kept.texts, kept.pairs, np.argsort(wanted)[places].astype(np.int32))
        return kept if count is None else kept.take(balanced_sample(kept.targets, count, seed))

    return TaskData(
        part.classes,
        own(whole.train, "train", part.train_rows, seed),
        own(whole.validation, "validation", part.validation_rows, seed + 1),
        None if whole.test is None else own(whole.test, "test", None, seed),
    )


def _in_turn(found: Mapping[str, TaskData], labels: tuple[str, ...], parts: Sequence[Rows]) -> Rows:
    """One split; `domains` are the names of its rows' tasks."""
    targets = []
    for number, (data, rows) in enumerate(zip(found.values(), parts, strict=True)):
        places = np.array([labels.index(label) for label in data.labels], dtype=np.int32)
        targets.append(coded(number, places[rows.targets]))
    pairs = tuple(pair for rows in parts for pair in rows.pairs or ())
    domains = tuple(name for name, rows in zip(found, parts, strict=True) for _ in range(len(rows)))
    texts = tuple(text for rows in parts for text in rows.texts)
    return Rows(texts, pairs or None, np.concatenate(targets), domains=domains)

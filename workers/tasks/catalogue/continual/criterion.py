"""Loss and measure of tasks in turn, and what compares one point of their sequence with another. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from workers.hyperparameters import Hyperparameters
from workers.tasks.catalogue.continual.section import ContinualSpec
from workers.tasks.coded_targets import PAYLOAD
from workers.tasks.criterion import IGNORED, Criterion
from workers.tasks.losses import classification_loss


def classes_of(targets: Tensor) -> Tensor:
    """The classes of coded targets `[…]`, `IGNORED` where there is none."""
    return (targets & ((1 << PAYLOAD) - 1)).where(targets >= 0, IGNORED)


def _loss(outputs: Tensor, targets: Tensor, hyperparameters: Hyperparameters) -> Tensor:
    return classification_loss(outputs, classes_of(targets), hyperparameters)


def criterion_of(section: ContinualSpec, labels: tuple[str, ...]) -> Criterion:
    """Cross-entropy over the classes of all tasks, whichever a row is of: nobody says so of a text to be read."""
    names = tuple(section.tasks)
    measure = partial(SequenceMeasure, names, len(labels))
    return Criterion("row", _loss, measure, over_tasks=partial(compare, names))


class SequenceMeasure:
    """The accuracy of each task and their mean, and how often a row is taken for one of its task.

    Counts `[tasks, classes]` of rows by true class and by predicted class, and hits `[tasks]`; classes are a task's
    where one of its rows has them.
    """

    def __init__(self, names: tuple[str, ...], classes: int) -> None:
        self._names, self._classes = names, classes
        self._true, self._predicted = (torch.zeros(len(names) * classes, dtype=torch.float64) for _ in range(2))
        self._hits = torch.zeros(len(names), dtype=torch.float64)
        self._loss = torch.zeros((), dtype=torch.float64)  # nats

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in logits `[rows, classes]` and coded targets `[rows]`."""
        tasks, classes, predicted = targets >> PAYLOAD, classes_of(targets), outputs.argmax(-1)
        ones = torch.ones(len(targets), dtype=torch.float64, device=outputs.device)
        base = tasks * self._classes
        self._true = self._true.to(outputs.device).index_add(0, base + classes, ones)
        self._predicted = self._predicted.to(outputs.device).index_add(0, base + predicted, ones)
        self._hits = self._hits.to(outputs.device).index_add(0, tasks, (predicted == classes).double())
        self._loss = self._loss.to(outputs.device) + cross_entropy(outputs.double(), classes, reduction="sum")

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._true, self._predicted = (
            self._true.cpu() + other._true.cpu(),
            self._predicted.cpu() + other._predicted.cpu(),
        )
        self._hits, self._loss = self._hits.cpu() + other._hits.cpu(), self._loss.cpu() + other._loss.cpu()

    def result(self) -> dict[str, float]:
        """The metrics of all rows."""
        shape = (len(self._names), self._classes)
        true, predicted = (counts.view(shape).cpu().numpy() for counts in (self._true, self._predicted))
        rows = true.sum(axis=1)
        accuracies = self._hits.cpu().numpy() / np.maximum(rows, 1)
        found = {f"{name}.accuracy": float(value) for name, value in zip(self._names, accuracies, strict=True)}
        return found | {
            "average_accuracy": float(accuracies[rows > 0].mean()),
            "task_accuracy": float((predicted * (true > 0)).sum() / rows.sum()),
            "loss": float(self._loss) / float(rows.sum()),
        }


def compare(names: Sequence[str], behind: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Forgetting and transfer among tasks, from the accuracies before all training and behind each task so far.

    With R[t, i] the accuracy on task i behind task t and b that before any, after s tasks (Lopez-Paz & Ranzato 2017,
    GEM, arXiv 1706.08840): backward transfer is the mean over i < s of R[s, i] - R[i, i], forward transfer that over
    1 < i of R[i - 1, i] - b[i]. Forgetting (Chaudhry et al. 2018, arXiv 1801.10112) is the mean over i < s of the best
    R[t, i] of an earlier t, minus R[s, i]. They are 0 where there is nothing to compare yet.
    """
    table = np.array([[one[f"{name}.accuracy"] for name in names] for one in behind])
    before, later = table[0], table[1:]
    now = len(later) - 1  # the number of the task that is being learnt, or was learnt last
    own = [later[task, task] for task in range(now)]
    best = [later[task:now, task].max() for task in range(now)]
    ahead = [later[task - 1, task] - before[task] for task in range(1, now + 1)]
    return {
        "average_forgetting": float(np.mean(best - later[now, :now])) if now else 0.0,
        "backward_transfer": float(np.mean(later[now, :now] - own)) if now else 0.0,
        "forward_transfer": float(np.mean(ahead)) if ahead else 0.0,
    }

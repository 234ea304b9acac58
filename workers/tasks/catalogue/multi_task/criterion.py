"""Loss and measure of several tasks whose outputs lie side by side: each task's are its own columns. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from workers.data.rows import Rows, Targets
from workers.data.tokens import Tokens
from workers.hyperparameters import Hyperparameters
from workers.tasks.catalogue.multi_task.parts import KINDS, decoded
from workers.tasks.catalogue.multi_task.rows import BETWEEN
from workers.tasks.catalogue.multi_task.section import MultiTaskSpec
from workers.tasks.coded_targets import PAYLOAD, numbers_in, tasks_of
from workers.tasks.criterion import IGNORED, Criterion, Measure
from workers.tasks.several_tasks import rows_of


@dataclass(frozen=True)
class Part:
    """One task: its number, its columns of the outputs, its own criterion, and how many targets a row has."""

    number: int
    name: str
    columns: slice
    criterion: Criterion
    first: str
    numbers: bool
    each: float

    def of(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor] | None:
        """The task's outputs and targets as its own criterion has them; None where no row is of the task."""
        mine = self._mine(targets)
        rows = mine.any(-1)
        if not bool(rows.any()):
            return None
        if self.criterion.targets != "row":
            return outputs[rows][..., self.columns], _payload(targets).where(mine, IGNORED)[rows]
        wanted = _payload(targets)[mine]
        return outputs[mine][:, self.columns], self._numbers(wanted) if self.numbers else wanted

    def among_all(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs `[rows · tokens, columns]` and targets `[rows · tokens]` of all tasks' rows, where those of others
        add nothing to a sum: which these are is nowhere asked of the host, so that members of a pack share a pass. Of
        spans, whose tokens are compared with each other, rows and tokens stay apart."""
        mine, wanted, own = self._mine(targets), _payload(targets), outputs[..., self.columns]
        if self.numbers:
            own = own.where(mine[..., None], 0.0)
            return own.flatten(0, -2), self._numbers(wanted).where(mine, 0.0).flatten()
        if self.criterion.targets == "span":
            return own, wanted.where(mine, IGNORED)
        return own.flatten(0, -2), wanted.where(mine, IGNORED).flatten()

    def _mine(self, targets: Tensor) -> Tensor:
        return (targets >= 0) & (targets >> PAYLOAD == self.number)

    def _numbers(self, wanted: Tensor) -> Tensor:
        """What coded numbers stand for, in the unit of the outputs."""
        unit = self.criterion.unit
        bits = (wanted << (32 - PAYLOAD)).to(torch.int64)
        bits = torch.where(bits >= 1 << 31, bits - (1 << 32), bits).to(torch.int32)
        return (bits.view(torch.float32) - unit.mean) / unit.spread


def _payload(targets: Tensor) -> Tensor:
    return targets & ((1 << PAYLOAD) - 1)


def parts_of(
    section: MultiTaskSpec, labels: tuple[str, ...], targets: Targets | None = None, constant: bool = True
) -> tuple[Part, ...]:
    """The tasks of a section on these names of outputs; numbers in the unit of training `targets` [tokens]."""
    found, start = [], 0
    for number, (name, one) in enumerate(section.parts().items()):
        kind = KINDS[one.type]
        own = tuple(label.partition(BETWEEN)[2] for label in labels if label.partition(BETWEEN)[0] == name)
        codes = None if targets is None else np.asarray(targets)[tasks_of(np.asarray(targets)) == number]
        criterion = kind.criterion(one, own)
        if kind.fit is not None and codes is not None:
            criterion = kind.fit(numbers_in(codes), constant)
        columns = slice(start, start + len(own))
        found.append(Part(number, name, columns, criterion, kind.primary.name, kind.fit is not None, 1.0))
        start += len(own)
    return tuple(found)


def fitted(
    section: MultiTaskSpec, labels: tuple[str, ...], tokens: Tokens | None = None, constant: bool = True
) -> Criterion:
    """The criterion of all tasks together. A row weighs one: of words, each so much less as there are more of them."""
    parts = parts_of(section, labels, None if tokens is None else tokens.targets, constant)
    if tokens is not None:
        each = [_targets_each(tokens, part.number) for part in parts]
        parts = tuple(
            replace(part, each=count if part.criterion.targets == "token" else 1.0)
            for part, count in zip(parts, each, strict=True)
        )

    def loss(outputs: Tensor, targets: Tensor, hyperparameters: Hyperparameters) -> Tensor:
        total = outputs.sum() * 0
        for part in parts:
            total = total + part.criterion.loss(*part.among_all(outputs, targets), hyperparameters) / part.each
        return total

    units = tuple(part.criterion.unit for part in parts for _ in range(part.columns.stop - part.columns.start))
    return Criterion("token", loss, Measures(parts), by_row=True, units=units)


def on_split(criterion: Criterion, section: MultiTaskSpec, rows: Rows, tokens: Tokens) -> Criterion:
    """The criterion of one split: tasks of which rows are, and each task's measure on its own rows of it."""
    assert isinstance(criterion.measure, Measures)
    tasks = task_of_rows(tokens)
    parts = tuple(
        replace(part, criterion=_alone(part, one, rows, tokens))
        for part, one in zip(criterion.measure.parts, section.parts().values(), strict=True)
    )
    spans = np.array([part.criterion.targets == "span" for part in parts])
    return replace(criterion, tasks=tasks, measure=Measures(parts), numbered=spans[tasks] if spans.any() else None)


def _alone(part: Part, section: Any, rows: Rows, tokens: Tokens) -> Criterion:
    """The criterion of a task on its own rows of a split; of one that compares with targets alone as it is."""
    kind = KINDS[section.type]
    if kind.on_split is None:
        return part.criterion
    if tokens.examples is not None:
        numbers = np.full(len(rows), -1, dtype=np.int32)
        own = rows.of_domain(part.name)
        numbers[own] = np.arange(len(own), dtype=np.int32)
        tokens = replace(tokens, examples=numbers[tokens.examples])
    mine = rows_of(rows, part.name, partial(decoded, section.type))
    return kind.on_split(part.criterion, section, mine, tokens)


def _targets_each(tokens: Tokens, number: int) -> float:
    """How many targets a row of a task has, in the mean."""
    codes = np.asarray(tokens.targets)
    mine = np.concatenate([[0], np.cumsum((codes >= 0) & (tasks_of(codes) == number))])
    counts = np.diff(mine[np.asarray(tokens.offsets)])
    return float(counts[counts > 0].mean()) if counts.any() else 1.0


def task_of_rows(tokens: Tokens) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The number of each row's task [rows]: that of its targets, which are all of one."""
    numbers = tasks_of(np.asarray(tokens.targets))
    highest: np.ndarray[tuple[int], np.dtype[np.int64]] = np.maximum.reduceat(numbers, np.asarray(tokens.offsets)[:-1])
    return highest.clip(min=0)


@dataclass(frozen=True)
class Measures:
    """Makes measures of these tasks that have seen nothing."""

    parts: tuple[Part, ...]

    def __call__(self) -> MultiTaskMeasure:
        return MultiTaskMeasure(self.parts)


class MultiTaskMeasure:
    """Each task's own metrics, and of their first ones the mean and the worst."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)
        self._named = [(part.name, part.first) for part in parts]
        self._own: list[Measure] = [part.criterion.measure() for part in parts]
        self._seen = [False] * len(parts)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in outputs `[rows, tokens, outputs of all tasks]` and coded targets `[rows, tokens]`."""
        for number, (part, measure) in enumerate(zip(self._parts, self._own, strict=True)):
            if (own := part.of(outputs, targets)) is not None:
                measure.add(*own)
                self._seen[number] = True

    def merge(self, other: Self) -> None:
        """Take in the rows of another part of the evaluation."""
        for number, seen in enumerate(other._seen):
            if seen and self._seen[number]:
                self._own[number].merge(other._own[number])
            elif seen:
                self._own[number], self._seen[number] = other._own[number], True

    def result(self) -> dict[str, float]:
        """The metrics of all rows."""
        own = {name: measure.result() for (name, _), measure in zip(self._named, self._own, strict=True)}
        first = [own[name][metric] for name, metric in self._named]
        named = {f"{name}.{metric}": value for name, found in own.items() for metric, value in found.items()}
        losses = [found["loss"] for found in own.values()]
        summary = {"mean": float(np.mean(first)), "worst": min(first), "loss": float(np.mean(losses))}
        return summary | named

    def __getstate__(self) -> dict[str, object]:
        """What other processes merge."""
        return self.__dict__ | {"_parts": ()}

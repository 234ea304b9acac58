"""What an evaluation measures of each domain of its rows, and of the worst one. Needs no torch itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from workers.data.rows import Rows
from workers.data.tokens import Tokens
from workers.tasks.criterion import Criterion, Measure
from workers.tasks.metrics import WORST_DOMAIN, Metric

if TYPE_CHECKING:
    from torch import Tensor

_OF = "_in_"


def domain_metric(metric: str, domain: str) -> str:
    """What a metric of one domain is called."""
    return f"{metric}{_OF}{domain}"


def metric_of(name: str) -> str:
    """The metric that a name stands for, of one domain or of all rows."""
    return name.partition(_OF)[0]


class DomainMeasure:
    """The measure of a split, and the first metric of each of its domains beside it."""

    def __init__(self, whole: Callable[[], Measure], names: tuple[str, ...], first: Metric) -> None:
        self._make, self._names, self._first = whole, names, first
        self._whole = whole()
        self._own: dict[int, Measure] = {}

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in rows that are of no domain."""
        self._whole.add(outputs, targets)

    def add_of(self, outputs: Tensor, targets: Tensor, domains: NDArray[np.int64]) -> None:
        """Take in rows with the numbers of their domains `[rows]`."""
        self._whole.add(outputs, targets)
        for domain in np.unique(domains).tolist():
            rows = np.flatnonzero(domains == domain)
            self._own.setdefault(domain, self._make()).add(outputs[rows], targets[rows])

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._whole.merge(other._whole)
        for domain, measure in other._own.items():
            if domain in self._own:
                self._own[domain].merge(measure)
            else:
                self._own[domain] = measure

    def __getstate__(self) -> dict[str, Any]:
        """What other processes merge, which begin no further measures."""
        return self.__dict__ | {"_make": None}

    def result(self) -> dict[str, float]:
        """The metrics of all rows, the first one of each domain, and that of the domain where it is worst."""
        name = self._first.name
        found = {self._names[domain]: measure.result()[name] for domain, measure in sorted(self._own.items())}
        worst = min if self._first.direction == "maximize" else max
        own = {domain_metric(name, domain): value for domain, value in found.items()}
        return self._whole.result() | own | {WORST_DOMAIN.name: worst(found.values())}


def by_domain(criterion: Criterion, rows: Rows, read: Tokens, first: Metric) -> Criterion:
    """The criterion of a split whose rows tell their domains, and of which those that are `read` were made."""
    if rows.domains is None:
        raise ValueError("the rows tell no domains")
    names, numbers = np.unique(np.array(rows.domains, dtype=object).astype(str), return_inverse=True)
    measure = partial(DomainMeasure, criterion.measure, tuple(map(str, names)), first)
    own = np.repeat(numbers, len(read) // len(rows)) if read.examples is None else numbers[read.examples]
    return replace(criterion, measure=measure, domains=own.astype(np.int64))

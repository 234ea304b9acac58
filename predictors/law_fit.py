"""Your own law: best learning rate and batch size as power laws of model and data size, fitted to a table of runs.

Sizes are the parameters N (the trained ones, for adapters), the tokens D and whatever else is named, such as the rank.
Each combination of sizes is a cell: a set of runs that differ in learning rate and batch size. With x = (log learning
rate, log batch) the excess loss over the cell's best is near its minimum a quadratic (`predictors.law_surface`)

    log(loss / best) = ½ (x − x*)ᵀ H (x − x*) + c_cell,        x* = a + b_N log N + b_D log D + …

Intervals come from leaving out one cell at a time (jackknife): runs of one cell share its noise, so they must not count
as independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from predictors.answer import Answer, Interval, OutOfDomain, Quantity, Range, outside, positive
from predictors.law_surface import UNKNOWNS, Edge, Floats, Integers, Surface, fit_surface, nearness

LEAST_ROWS, LEAST_RUNS, LEAST_CELLS = 20, UNKNOWNS, 4
SIZES, SETTINGS = ("parameters", "tokens"), ("learning_rate", "batch")
UNITS = {"parameters": "parameters", "tokens": "tokens", "rank": ""}
SOURCE = "power laws fitted to your runs (form of Step Law, arXiv:2503.04715)"


@dataclass(frozen=True)
class Runs:
    """A table of runs: `size [n, k]` in the order of `variables`, the other columns `[n]`; `cell [n]` numbers the
    combinations of sizes."""

    variables: tuple[str, ...]
    size: Floats
    learning_rate: Floats
    batch: Floats
    loss: Floats
    cell: Integers

    @classmethod
    def read(cls, columns: Mapping[str, Floats], variables: Sequence[str] = SIZES) -> Runs:
        """Check and group a table.

        Args:
            columns: by name: the `variables`, `learning_rate`, `batch` and `loss`.
            variables: the sizes that the law shall depend on.

        Raises:
            OutOfDomain: columns of different length, numbers that are not positive, too few rows or cells, a cell
                that cannot show an optimum, or losses that are all equal.
        """
        names = (*variables, *SETTINGS, "loss")
        table = {name: np.asarray(columns[name], dtype=np.float64) for name in names}
        lengths = {name: len(column) for name, column in table.items()}
        if len(set(lengths.values())) != 1:
            raise OutOfDomain("rows", lengths, "columns of equal length")
        for name, column in table.items():
            bad = ~(np.isfinite(column) & (column > 1e-30) & (column < 1e30))
            if bad.any():
                row = int(np.argmax(bad))
                raise OutOfDomain(f"rows.{row}.{name}", float(column[row]), "a positive, finite number")
        if lengths["loss"] < LEAST_ROWS:
            raise OutOfDomain("rows", lengths["loss"], f"at least {LEAST_ROWS} runs")
        if np.ptp(table["loss"]) <= 1e-12 * table["loss"].max():
            raise OutOfDomain("loss", "all equal", "losses that differ: equal losses determine no law")
        size = np.column_stack([table[name] for name in variables])
        _, cell = np.unique(size, axis=0, return_inverse=True)
        numbered = cell.reshape(-1).astype(np.int64)
        runs = cls(tuple(variables), size, table["learning_rate"], table["batch"], table["loss"], numbered)
        runs._check_cells()
        return runs

    def _check_cells(self) -> None:
        counts = np.bincount(self.cell)
        if len(counts) < LEAST_CELLS:
            allowed = f"at least {LEAST_CELLS} different ({', '.join(self.variables)}) combinations"
            raise OutOfDomain("rows", len(counts), allowed)
        if counts.min() < LEAST_RUNS:
            allowed = f"at least {LEAST_RUNS} runs for each ({', '.join(self.variables)})"
            raise OutOfDomain("rows", int(counts.min()), allowed)
        columns = {name: (self.size[:, k], 2) for k, name in enumerate(self.variables)}
        columns |= {name: (getattr(self, name), 3) for name in SETTINGS}
        for name, (column, least) in columns.items():
            if len(np.unique(column)) < least:
                raise OutOfDomain(name, "too few different values", "at least two sizes, three rates, three batches")

    def keep(self, rows: NDArray[np.bool_]) -> Runs:
        """Some of the runs, cells numbered anew."""
        _, cell = np.unique(self.cell[rows], return_inverse=True)
        columns = (self.size, self.learning_rate, self.batch, self.loss)
        size, rate, batch, loss = (column[rows] for column in columns)
        return Runs(self.variables, size, rate, batch, loss, cell.astype(np.int64))

    def best(self) -> Floats:
        """Lowest loss of each cell `[cells]`."""
        lowest = np.full(int(self.cell.max()) + 1, np.inf)
        np.minimum.at(lowest, self.cell, self.loss)
        return lowest

    def excess(self) -> Floats:
        """log(loss / best of the cell) `[n]`."""
        return np.log(self.loss / self.best()[self.cell])

    def sizes(self) -> Floats:
        """(1, log N, log D, …) of each run `[n, 1 + k]`."""
        return np.column_stack([np.ones(len(self.loss)), np.log(self.size)])

    def settings(self) -> Floats:
        """(log learning rate, log batch) of each run `[n, 2]`."""
        return np.column_stack([np.log(self.learning_rate), np.log(self.batch)])


@dataclass(frozen=True)
class FittedLaw:
    """`optimum [2, 1 + k]`: rows learning rate and batch, columns log coefficient and the exponent of each variable."""

    variables: tuple[str, ...]
    ranges: tuple[Range, ...]  # among which each variable was measured
    tried: tuple[Range, Range]  # learning rates and batches
    batch_edge: Edge | None  # the end of the batches tried at which the law holds; None with a minimum among them
    optimum: Floats
    covariance: Floats  # [2, 1 + k, 1 + k], jackknife over cells
    curvature: Floats  # [2, 2]
    left_out_error: Floats  # [cells, 2]: log of predicted over measured optimum, the cell not used
    rows: int

    def centre(self, sizes: Floats) -> Floats:
        """(log learning rate, log batch) `[n, 2]` at `sizes [n, 1 + k]`."""
        return sizes @ self.optimum.T

    def covers(self, sizes: Mapping[str, float]) -> bool:
        """Whether `sizes` names exactly the law's variables, each inside its measured range."""
        return set(sizes) == set(self.variables) and not self._warnings(sizes)

    def answer(self, sizes: Mapping[str, float], level: float = 0.9) -> Answer:
        """Learning rate and batch for one size. Raises OutOfDomain for sizes that lack or are not positive."""
        if set(sizes) != set(self.variables):
            raise OutOfDomain(
                ", ".join(self.variables), sorted(sizes), "the sizes that the law was fitted on, each once"
            )
        positive(**sizes)
        row = np.array([1.0, *(np.log(sizes[name]) for name in self.variables)])
        width = NormalDist().inv_cdf(0.5 + level / 2)
        quantities = {}
        for index, (name, unit) in enumerate((("learning_rate", "1"), ("batch", "unit of the table"))):
            middle = float(row @ self.optimum[index])
            half = width * float(np.sqrt(max(row @ self.covariance[index] @ row, 0.0)))
            interval = Interval(float(np.exp(middle - half)), float(np.exp(middle + half)), level)
            quantities[name] = Quantity(float(np.exp(middle)), unit, interval)
        if self.batch_edge is not None:
            quantities["batch"] = Quantity(self._edge, quantities["batch"].unit)
        warnings = (*self._warnings(sizes), *self._edges(quantities))
        return Answer(quantities, SOURCE, "fitted", f"the set-up of your {self.rows} runs", warnings)

    def _warnings(self, sizes: Mapping[str, float]) -> tuple[str, ...]:
        return outside(
            **{name: (limits, sizes[name]) for name, limits in zip(self.variables, self.ranges, strict=True)}
        )

    def _edges(self, quantities: Mapping[str, Quantity]) -> tuple[str, ...]:
        """Warnings of settings that nobody tried, and of a batch that the runs do not determine."""
        limits = zip(("learning_rate", "batch"), self.tried, strict=True)
        found = outside(**{name: (tried, quantities[name].value) for name, tried in limits})
        if self.batch_edge is None:
            return found
        return (*found, f"batch = {self._edge:g} is the {self.batch_edge} tried: the runs show no best one among them")

    @property
    def _edge(self) -> float:
        batches = self.tried[1]
        return batches.low if self.batch_edge == "smallest" else batches.high


def fit_law(runs: Runs) -> FittedLaw:
    """Fit the law to runs. Without a minimum along the batch that survives leaving out any cell, the batch is held at
    the better end of those tried. Raises OutOfDomain when there is none along the learning rate."""
    cells = int(runs.cell.max()) + 1
    near = nearness(runs.excess(), runs.cell)
    whole, *without = (_surface(runs.keep(runs.cell != cell), near) for cell in range(-1, cells))
    edge: Edge | None = None
    log_batch: float | None = None
    if not all(surface.is_bowl for surface in (whole, *without)):
        log_batches = runs.settings()[:, 1]
        edge = whole.best_edge(log_batches)
        log_batch = float(log_batches.min() if edge == "smallest" else log_batches.max())
    optimum = whole.optimum(log_batch)
    parts = [surface.optimum(log_batch) for surface in without]
    away = np.array(parts) - np.mean(parts, axis=0)  # [cells, 2, 1 + k]
    covariance = (cells - 1) / cells * np.einsum("cki,ckj->kij", away, away)
    ranges = tuple(
        _range(column, UNITS.get(name, name)) for name, column in zip(runs.variables, runs.size.T, strict=True)
    )
    tried = (_range(runs.learning_rate, ""), _range(runs.batch, ""))
    error = _left_out_error(runs, parts)
    return FittedLaw(runs.variables, ranges, tried, edge, optimum, covariance, whole.curvature, error, len(runs.loss))


def _surface(runs: Runs, near: float) -> Surface:
    return fit_surface(runs.settings(), runs.sizes(), runs.excess(), runs.cell, near)


def _range(column: Floats, unit: str) -> Range:
    return Range(float(column.min()), float(column.max()), unit)


def _left_out_error(runs: Runs, parts: list[Floats]) -> Floats:
    """Log of the law without a cell over the cell's own best run `[cells, 2]`."""
    errors, sizes, settings = [], runs.sizes(), runs.settings()
    for cell, optimum in enumerate(parts):
        best = int(np.argmin(np.where(runs.cell == cell, runs.loss, np.inf)))
        errors.append(sizes[best] @ optimum.T - settings[best])
    return np.array(errors)

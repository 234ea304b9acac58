"""The loss near its minimum as a quadratic of the settings, whose minimum moves with the sizes: one linear regression.

With x = (log learning rate, log batch) and s = (1, log N, log D, …), both centred,

    log(loss / best) = ½ xᵀ H x + xᵀ G s + c_cell        so that        x* = −H⁻¹ G s

with one curvature H for all cells. Runs far above the best count less, since the surface is no quadratic there.

Trainings of few steps often show no minimum along the batch: the smallest batch, which takes the most steps, is the
best. Then the batch is held at the better end of what was tried, and only the learning rate has an optimum, at that
batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from predictors.answer import OutOfDomain

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Edge = Literal["smallest", "largest"]
# Excess at which a run counts half as much as the best: small in long pretraining, where hundredths matter. Where the
# runs of a cell lie further apart, as far as its sixth best, since a quadratic of two variables has six unknowns.
NEAR, UNKNOWNS = 0.004, 6


@dataclass(frozen=True)
class Surface:
    """The fitted quadratic; `middle [2]` and `shift [k]` are the centres of settings and sizes."""

    curvature: Floats  # H [2, 2]
    slope: Floats  # G [2, 1 + k]
    middle: Floats
    shift: Floats

    @property
    def is_bowl(self) -> bool:
        """Whether there is a minimum in learning rate and batch together."""
        return bool(np.linalg.eigvalsh(self.curvature).min() > 0)

    def optimum(self, log_batch: float | None = None) -> Floats:
        """`[2, 1 + k]`: rows log learning rate and log batch, columns the constant and the exponent of each size.

        At a given batch the second row is that constant. Raises OutOfDomain when the loss has no minimum.
        """
        if log_batch is None and self.is_bowl:
            found = np.asarray(-np.linalg.solve(self.curvature, self.slope), dtype=np.float64)
            found[:, 0] += self.middle
        elif log_batch is not None and self.curvature[0, 0] > 0:
            found = np.zeros_like(self.slope)
            found[0] = -self.slope[0] / self.curvature[0, 0]
            found[0, 0] += self.middle[0] - self.curvature[0, 1] / self.curvature[0, 0] * (log_batch - self.middle[1])
            found[1, 0] = log_batch
        else:
            raise OutOfDomain("loss", "no minimum", "runs around the best learning rate and batch of each size")
        found[:, 0] -= found[:, 1:] @ self.shift
        return found

    def best_edge(self, log_batches: Floats) -> Edge:
        """The end of the batches tried `[n]` at which the loss is lower, each with its best learning rate, at middling
        sizes."""
        share = self.curvature[0, 1] / self.curvature[0, 0]
        bend, rise = self.curvature[1, 1] - share * self.curvature[0, 1], self.slope[1, 0] - share * self.slope[0, 0]
        low, high = log_batches.min() - self.middle[1], log_batches.max() - self.middle[1]
        return "smallest" if 0.5 * bend * low**2 + rise * low <= 0.5 * bend * high**2 + rise * high else "largest"


def fit_surface(settings: Floats, sizes: Floats, excess: Floats, cell: Integers, near: float) -> Surface:
    """Fit to runs: `settings [n, 2]` and `sizes [n, 1 + k]` in logarithms, `excess [n]` over the best of each cell.

    Sizes that move together (rank and trained parameters of one method) share their exponents: the shortest solution.
    """
    middle = settings.mean(axis=0)
    shift = sizes[:, 1:].mean(axis=0)
    x, s = settings - middle, np.column_stack([sizes[:, 0], sizes[:, 1:] - shift])
    columns = [np.eye(int(cell.max()) + 1)[cell]]
    columns += [np.column_stack([0.5 * x[:, 0] ** 2, 0.5 * x[:, 1] ** 2, x[:, 0] * x[:, 1]])]
    columns += [x[:, [0]] * s, x[:, [1]] * s]
    design, root = np.hstack(columns), 1 / (1 + (excess / near) ** 2)
    solution = np.linalg.lstsq(design * root[:, None], excess * root, rcond=1e-10)[0]
    found = np.asarray(solution[-3 - 2 * s.shape[1] :], dtype=np.float64)
    curvature = np.array([[found[0], found[2]], [found[2], found[1]]])
    return Surface(curvature, found[3:].reshape(2, -1), middle, shift)


def nearness(excess: Floats, cell: Integers) -> float:
    """The excess at which a run counts half as much as the best: see `NEAR`."""
    sixth = [np.sort(excess[cell == one])[:UNKNOWNS][-1] for one in range(int(cell.max()) + 1)]
    return max(NEAR, float(np.median(sixth)))

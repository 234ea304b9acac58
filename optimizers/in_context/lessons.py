"""What the network is taught: tasks drawn from past jobs and from Gaussian processes over the job's own space.

Accuracies of different tasks do not compare, but surfaces do, up to what is new about a task. A lesson is a mixture: a
sample of the process through one past job's trials, and a drawn process that knows nothing, in shares from all of the
one to all of the other. So the network learns both what past jobs say of a configuration and to see from a few
measured trials how far they are to be believed. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky

from optimizers.gp.outcomes import scaling
from optimizers.gp.regression import correlation, fit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TASKS, ASKED, FEWEST, MOST = 12, 24, 3, 60  # of a step: tasks; of a task: asked trials, least and most measured ones
UNTAUGHT = 0.25  # share of the tasks that no past job has a part in
FITTED = 100  # trials that enter the fit of a past job's process
NOISE = (1e-3, 0.3)  # standard deviation of a measurement, as a share of the surface's spread


@dataclass(frozen=True)
class Surface:
    """What one past job says of one metric over the pool: a normal distribution."""

    metric: int
    weight: float
    mean: Floats  # [p], standardised
    covariance: Floats  # [p, p]

    def drawn(self, rows: Ints, rng: np.random.Generator) -> Floats:
        """A sample at `rows [k]` of the pool."""
        covariance = self.covariance[np.ix_(rows, rows)]
        covariance[np.diag_indices_from(covariance)] += 1e-5  # a row may be there twice
        factor = cholesky(covariance, lower=True, check_finite=False)
        return np.asarray(self.mean[rows] + factor @ rng.standard_normal(len(rows)))


def surface(pool: Floats, groups: Ints, metric: int, weight: float, features: Floats, values: Floats) -> Surface:
    """Of a past job that measured `values [n]` (minimised) of `metric` at `features [n, f]`, over `pool [p, f]`."""
    process = fit(features, groups, scaling(values)(values), FITTED)
    mean, covariance = process.joint(pool)
    spread = float(np.sqrt(np.mean(np.diag(covariance)) + mean.var()))
    return Surface(metric, weight, (mean - mean.mean()) / spread, covariance / spread**2)


@dataclass(frozen=True)
class Lessons:
    """Draws tasks for the meta-training over `pool [p, f]`, configurations of the space as features."""

    pool: Floats
    groups: Ints
    surfaces: Sequence[Surface]
    metrics: int

    @property
    def columns(self) -> int:
        """Of the network's inputs."""
        return len(self.groups) + (self.metrics if self.metrics > 1 else 0)

    def drawn(self, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Floats]:
        """One step's tasks: measured `[t, m, c]`, values `[t, m]`, asked `[t, k, c]`, wanted `[t, k]`."""
        count = int(np.exp(rng.uniform(np.log(FEWEST), np.log(MOST + 1))))
        tasks = [self._task(min(count, len(self.pool)), rng) for _ in range(TASKS)]
        measured, values, asked, wanted = (np.stack(each) for each in zip(*tasks, strict=True))
        return measured, values, asked, wanted

    def _task(self, count: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Floats]:
        weights = np.array([one.weight for one in self.surfaces])
        past = self.surfaces[rng.choice(len(weights), p=weights / weights.sum())]
        measured = _chosen(past.mean, count, rng)
        asked = np.concatenate([_chosen(past.mean, ASKED // 2, rng), rng.choice(len(self.pool), ASKED - ASKED // 2)])
        rows = np.concatenate([measured, asked])
        share = 0.0 if rng.random() < UNTAUGHT else rng.random()
        own = drawn_values(self.pool[rows], self.groups, rng)
        truth = np.sqrt(share) * past.drawn(rows, rng) + np.sqrt(1.0 - share) * own
        noise = np.exp(rng.uniform(*np.log(NOISE)))
        seen = truth[:count] + noise * rng.standard_normal(count)
        scale = scaling(seen, decades=False)
        inputs = tokens(self.pool[rows], past.metric, self.metrics)
        return inputs[:count], np.clip(scale(seen), -6, 6), inputs[count:], np.clip(scale(truth[count:]), -6, 6)


def tokens(features: Floats, metric: int, metrics: int) -> Floats:
    """Inputs of the network `[n, f + metrics]`: of several metrics, columns say which one is meant."""
    if metrics == 1:
        return features
    which = np.zeros((len(features), metrics))
    which[:, metric] = 1.0
    return np.concatenate([features, which], axis=1)


def drawn_values(features: Floats, groups: Ints, rng: np.random.Generator) -> Floats:
    """A Gaussian process at `features [n, f]`, some of whose parameters do not matter, bent in half of the draws."""
    count = int(groups.max()) + 1
    lengths = np.exp(rng.normal(0.3, 0.8, count)) * np.where(rng.random(count) < 0.3, 20, 1)
    scaled = features / lengths[groups]
    covariance = correlation(scaled, scaled)
    covariance[np.diag_indices_from(covariance)] += 1e-6
    smooth = cholesky(covariance, lower=True, check_finite=False) @ rng.standard_normal(len(features))
    return _standard(np.exp(rng.uniform(0, 1) * smooth) if rng.random() < 0.5 else smooth)


def _chosen(mean: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Rows of the pool, as a search chooses them: more of what is good than chance would, or not."""
    greed = max(0.0, rng.uniform(-1, 2))
    keys = rng.gumbel(size=len(mean)) - greed * mean
    return np.argsort(-keys)[:count].astype(np.int64)


def _standard(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / max(float(values.std()), 1e-9))

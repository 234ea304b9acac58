"""The network of `optimizers/in_context` taught by recorded tables of several families at once.

Half of the tasks are recorded ones, half draw their values from Gaussian processes over recorded inputs, whose columns
are shuffled, so that drawn values teach no column's meaning.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.surrogate.recorded import Floats, Recorded
from optimizers.gp.outcomes import scaling
from optimizers.in_context.lessons import drawn_values
from optimizers.in_context.network import Network, Tasks, foretold, trained

COLUMNS = 48  # of every family: those that one lacks are zero
TASKS, ASKED, LEAST, MOST = 12, 24, 4, 60  # of a step: tasks, asked trials, least and most measured ones
NOISE = (1e-3, 0.3)


def taught(seen: Sequence[Recorded], steps: int, seed: int) -> Network:
    """Meta-train on tables that are seen."""
    begun, said = time.monotonic(), list[float]()

    def told(step: int, loss: float) -> None:
        said.append(loss)
        if (step + 1) % 250 == 0:
            print(f"  {step + 1} steps, {time.monotonic() - begun:.0f} s: {np.mean(said[-250:]):.3f}", flush=True)

    return trained(COLUMNS, partial(_tasks, seen, np.random.default_rng(seed)), steps, seed, told)


def expected(network: Network, measured: Floats, values: Floats, asked: Floats) -> Floats:
    """Expected values `[asked]`, of values as `scaling` has made them."""
    return foretold(network, _padded(measured), values, _padded(asked))[0]


def _tasks(seen: Sequence[Recorded], draw: np.random.Generator) -> Tasks:
    """Of one step."""
    measured = int(np.exp(draw.uniform(np.log(LEAST), np.log(MOST))))
    inputs, values = [], []
    families = sorted({table.family for table in seen})
    for _ in range(TASKS):
        family = families[draw.integers(len(families))]
        table = (own := [one for one in seen if one.family == family])[draw.integers(len(own))]
        rows = draw.choice(len(table.values), min(measured + ASKED, len(table.values)), replace=False)
        rows = np.resize(rows, measured + ASKED)
        x, known = table.inputs[rows], table.values[rows]
        if draw.random() < 0.5:
            noise = np.exp(draw.uniform(*np.log(NOISE)))
            known = drawn_values(x, np.arange(x.shape[1]), draw) + noise * draw.standard_normal(len(x))
            x = _shuffled(x, draw)
        inputs.append(_padded(x))
        values.append(scaling(known[:measured])(known))
    tokens, both = np.stack(inputs), np.clip(np.stack(values), -6, 6)
    return Tasks(tokens[:, :measured], both[:, :measured], tokens[:, measured:], both[:, measured:])


def _shuffled(inputs: Floats, draw: np.random.Generator) -> Floats:
    """Columns in another order."""
    places = draw.permutation(COLUMNS)[: inputs.shape[1]]
    found = np.zeros((len(inputs), COLUMNS))
    found[:, places] = inputs
    return found


def _padded(inputs: Floats) -> NDArray[np.float64]:
    found = np.zeros((len(inputs), COLUMNS))
    found[:, : inputs.shape[1]] = inputs
    return found

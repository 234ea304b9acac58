"""Which rows train together, and in which order: one pure plan that every engine follows.

Rows of like length share a batch, so little is padded; which rows meet, and when a batch comes, is random but a pure
function of (seed, epoch). Two engines given the same trial therefore see the same batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from workers.engines.bins import best_fit_decreasing, passes_of

RowIndices = NDArray[np.int64]
"""Places of rows in a split."""

# Rows are sorted by length inside windows of this many batches of a shuffled epoch. A wider window pads less and mixes
# less: 64 leaves 2 % padding on the built-in data (unsorted: 52 %) while neighbours still change every epoch.
WINDOW_BATCHES = 64

# A pass without training takes batches of so many tokens after padding: enough for the products to run at full speed,
# and few enough for a layer's activations to stay in a core's cache (4,096 took a fifth longer on the CPU measured).
EVALUATION_TOKENS = 512


def epoch_batches(
    lengths: NDArray[np.integer], batch_size: int, seed: int, epoch: int, times: NDArray[np.float64] | None = None
) -> list[RowIndices]:
    """The batches of one epoch.

    Args:
        lengths: `[rows]` tokens per row.
        batch_size: rows per batch; only one batch of the epoch may be smaller.
        seed: the trial's seed.
        epoch: counted from 0.
        times: `[rows]` how often each row comes in the mean of many epochs; together as often as there are rows.

    Returns:
        Row indices per batch; together every row exactly once, or a whole number of times beside its `times`.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    if times is not None:
        # Points one apart on the rows laid end to end, in random order: each comes as often as they fall on it.
        ends = np.cumsum(times[order])
        order = order[np.searchsorted(ends * len(order) / ends[-1], np.arange(len(order)) + random.random())]
        order = order[random.permutation(len(order))]
    window = WINDOW_BATCHES * batch_size
    batches: list[RowIndices] = []
    for start in range(0, len(order), window):
        members = order[start : start + window]
        members = members[np.argsort(-lengths[members], kind="stable")]
        batches += [members[i : i + batch_size] for i in range(0, len(members), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


def longest_of(lengths: NDArray[np.integer], together: int) -> NDArray[np.integer]:
    """Of each `together` rows in turn the longest, `[rows / together]`."""
    return lengths if together == 1 else lengths.reshape(-1, together).max(axis=1)


def side_by_side(groups: RowIndices, together: int) -> RowIndices:
    """The rows of groups of `together` rows in turn."""
    return groups if together == 1 else (groups[:, None] * together + np.arange(together)).reshape(-1)


def token_budget_batches(lengths: NDArray[np.integer], tokens: int) -> list[RowIndices]:
    """Batches for passes without training: rows sorted by length, each batch at most `tokens` after padding.

    A row longer than the budget gets a batch of its own. Every row comes exactly once.
    """
    order = np.argsort(-lengths, kind="stable")
    batches: list[RowIndices] = []
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        size = max(1, tokens // longest)
        batches.append(order[start : start + size])
        start += size
    return batches


class StepPlan:
    """All optimizer steps of a trial; any of them can be asked for, so a resumed trial needs no saved position.

    Steps count from 1. A step holds `gradient_accumulation` batches (fewer at the end of an epoch). `in_order` takes
    the rows of every epoch as they come. With `batch_tokens` a batch is a bin of rows of so many tokens together, the
    same ones in every epoch, in passes of like length; `batch_size` then means nothing. With `sequence`, rows share
    sequences of so many tokens and `batch_size` counts these; where they are computed `apart` all the same, it is in
    passes of like length. `times` [rows] says how often each row comes in an epoch, in the mean. Each `together` rows
    in turn share every batch, and count as one in its size.
    """

    def __init__(
        self,
        lengths: NDArray[np.integer],
        batch_size: int,
        gradient_accumulation: int,
        epochs: float,
        seed: int,
        in_order: bool = False,
        batch_tokens: int = 0,
        together: int = 1,
        sequence: int = 0,
        apart: bool = False,
        times: NDArray[np.float64] | None = None,
    ) -> None:
        tokens = batch_tokens or sequence
        if in_order and tokens:
            raise ValueError("batches of so many tokens do not keep the order of rows")
        self._lengths, self._batch_size, self._seed = longest_of(lengths, together), batch_size, seed
        self._in_order, self._together, self._times = in_order, together, times
        self._accumulation = gradient_accumulation
        self._bins = best_fit_decreasing(together * self._lengths, tokens, seed) if tokens else []
        self._in_passes = bool(self._bins) and (apart or not sequence)
        self._bins_each = batch_size if sequence and not batch_tokens else 1
        batches = math.ceil(len(self._bins) / self._bins_each) or math.ceil(len(self._lengths) / batch_size)
        self.steps_per_epoch: float = math.ceil(batches / gradient_accumulation)
        self.steps = max(1, round(epochs * self.steps_per_epoch))

    @property
    def ends(self) -> tuple[int, ...]:
        """The steps that end a stage of the training: here the last one alone."""
        return (self.steps,)

    def within(self, step: int) -> tuple[int, int]:
        """The number of a step (from 1) in its stage, and how many steps that has: what its learning rate goes by."""
        return step, self.steps

    def epoch_at(self, step: int) -> float:
        """Passes over the training rows after `step` steps."""
        return step / self.steps_per_epoch

    def step_at(self, epoch: float) -> int:
        """The step nearest to `epoch`, between 1 and the last."""
        return min(self.steps, max(1, round(epoch * self.steps_per_epoch)))

    def next_multiple(self, epochs: float, step: int) -> int:
        """The first step after `step` that ends a multiple of `epochs`; at most the last."""
        # Half a step is no distance: the checkpoint may come from batches of another size, rounded the other way.
        multiple = math.floor((step + 0.5) / self.steps_per_epoch / epochs + 1e-6) + 1
        while (end := self.step_at(multiple * epochs)) <= step < self.steps:  # rounded down to where we are already
            multiple += 1
        return end

    def first_steps(self, epochs: Iterable[float]) -> set[int]:
        """The first step at or beyond each of `epochs` that the plan reaches."""
        steps = {max(1, math.ceil(epoch * self.steps_per_epoch - 1e-6)) for epoch in epochs}
        return {step for step in steps if step <= self.steps}

    def after(self, step: int) -> Iterator[tuple[RowIndices, ...]]:
        """The batches of steps `step + 1`, `step + 2`, … up to the last."""
        for number in range(step, self.steps):
            epoch, within = divmod(number, int(self.steps_per_epoch))
            if within == 0 or number == step:
                batches = self._batches(epoch)
            own = batches[within * self._accumulation : (within + 1) * self._accumulation]
            parts = [part for rows in own for part in passes_of(rows, self._lengths)] if self._in_passes else own
            yield tuple(side_by_side(groups, self._together) for groups in parts)

    def _batches(self, epoch: int) -> list[RowIndices]:
        if self._bins:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self._bins))
            each = self._bins_each
            return [self._joined(order[start : start + each]) for start in range(0, len(order), each)]
        if self._in_order:
            size, rows = self._batch_size, np.arange(len(self._lengths))
            return [rows[start : start + size] for start in range(0, len(rows), size)]
        return epoch_batches(self._lengths, self._batch_size, self._seed, epoch, self._times)

    def _joined(self, bins: NDArray[np.int64]) -> RowIndices:
        """The rows of some bins, longest first."""
        rows = np.concatenate([self._bins[place] for place in bins])
        return rows[np.argsort(-self._lengths[rows], kind="stable")]

    def report_steps(self, reports_per_epoch: int) -> frozenset[int]:
        """The steps after which a report is due: evenly spread over each epoch, and always the last
        (with 0 reports per epoch, the last only)."""
        ends = {
            math.ceil((k + 1) * self.steps_per_epoch / reports_per_epoch)
            for k in range(math.ceil(self.steps / self.steps_per_epoch * reports_per_epoch))
        }
        return frozenset({min(e, self.steps) for e in ends} | {self.steps})

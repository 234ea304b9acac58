"""Batches of so many tokens: rows are put together best-fit decreasing, and computed in passes of like length.

Best-fit decreasing (Ding et al. 2024, arXiv 2404.10830; TRL's `packing_strategy: bfd`) fills almost every bin. Rows of
a bin share an optimizer step and nothing else: each attends to itself alone, as if it were trained in its own pass.
"""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np
from numpy.typing import NDArray

Bin = NDArray[np.int64]
_PADDING = 1.1  # positions of a pass over its tokens


def best_fit_decreasing(lengths: NDArray[np.integer], tokens: int, seed: int) -> list[Bin]:
    """Bins of at most `tokens`; a longer row has one of its own.

    Which rows of one length meet is random but a pure function of the seed. Together the bins hold every row once,
    longest first within each.
    """
    order = np.random.default_rng(seed).permutation(len(lengths))
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # of bins that are not full, by what is left of them
    for row in order[np.argsort(-lengths[order], kind="stable")]:
        length = int(lengths[row])
        place = bisect_left(room, (length, -1))
        if place < len(room):
            left, number = room.pop(place)
            bins[number].append(int(row))
        else:
            left, number = tokens, len(bins)
            bins.append([int(row)])
        if left > length:
            insort(room, (left - length, number))
    return [np.array(members, dtype=np.int64) for members in bins]


def passes_of(rows: Bin, lengths: NDArray[np.integer]) -> tuple[Bin, ...]:
    """Rows of a bin, longest first, divided into passes that are padded by no more than a tenth."""
    passes, start, tokens = [], 0, 0
    for place, row in enumerate(rows):
        length, longest = int(lengths[row]), int(lengths[rows[start]])
        if (place - start + 1) * longest > _PADDING * (tokens + length):
            passes.append(rows[start:place])
            start, tokens = place, 0
        tokens += length
    return (*passes, rows[start:])

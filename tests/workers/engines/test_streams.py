"""Dropout masks that counters give: right in number and size, and a member's own whoever it trains with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workers.engines.stacked.layout import Layout
from workers.engines.stacked.streams import CounterStreams, stream_key

CPU = torch.device("cpu")
FEATURES = 50


def masks(counts: dict[int, int], keys: dict[int, int], length: int, rates: list[float], place: str = "a") -> Tensor:
    """Of a pass with so many rows of each slot."""
    layout, streams = Layout(len(rates), CPU, looped=False), CounterStreams(CPU)
    layout.arrange([(slot, count, length) for slot, count in counts.items()])
    rows = sum(counts.values())
    found = np.concatenate([np.stack([np.full(n, keys[slot]), np.arange(n)], 1) for slot, n in counts.items()])
    streams.rows = torch.from_numpy(found)
    return streams.masks(torch.zeros(rows, length, FEATURES), place, layout, torch.tensor(rates))


def test_numbers_are_dropped_at_each_members_rate_and_the_rest_keeps_the_mean() -> None:
    keys = {slot: stream_key(slot, 1, 0) for slot in range(3)}
    found = masks({0: 40, 1: 40, 2: 40}, keys, 20, [0.0, 0.1, 0.5]).split(40)
    assert torch.equal(found[0], torch.ones_like(found[0]))
    for mask, rate in zip(found[1:], (0.1, 0.5), strict=True):
        assert abs(float((mask == 0).float().mean()) - rate) < 0.01
        torch.testing.assert_close(mask.max(), torch.tensor(1 / (1 - rate)), rtol=1e-4, atol=0)
        assert abs(float(mask.mean()) - 1) < 0.02


def test_neighbours_steps_places_and_members_are_independent() -> None:
    key = stream_key(7, 3, 0)
    one = (masks({0: 40}, {0: key}, 20, [0.5]) == 0).float()
    for axis in range(3):
        both = (one * one.roll(1, axis)).mean()
        assert abs(float(both) - 0.25) < 0.01
    others = [
        masks({0: 40}, {0: other}, 20, [0.5])
        for other in (stream_key(8, 3, 0), stream_key(7, 4, 0), stream_key(7, 3, 1))
    ]
    for other in (*others, masks({0: 40}, {0: key}, 20, [0.5], "b")):
        assert abs(float((one * (other == 0)).mean()) - 0.25) < 0.01


def test_a_members_mask_knows_neither_companions_nor_padding() -> None:
    keys = {0: stream_key(1, 5, 0), 1: stream_key(2, 9, 0)}
    alone = masks({1: 4}, keys, 7, [0.2, 0.4])
    together = masks({0: 4, 1: 4}, keys, 12, [0.2, 0.4])
    assert torch.equal(together[4:, :7], alone)

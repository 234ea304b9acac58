"""One training, several ranks: what an adapter that serves every rank up to its own reaches at the lower ones.

A trial of such a method (`dylora`) is evaluated once more at each power of two below its rank. The metrics go by names
such as `accuracy_at_rank_4`, and count for a search as what a trial of that rank would have shown. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_NAME = re.compile(r"(?P<metric>\w+)_at_rank_(?P<rank>\d+)")
_RANK_DECIDES = ("trainable_params", "adapter_bytes", "peak_memory_mb")
"""Costs that a lower rank would have changed."""


def lower_ranks(rank: int) -> list[int]:
    """The powers of two below a rank, ascending."""
    return [2**power for power in range(rank.bit_length()) if 2**power < rank]


def at_rank(metrics: Mapping[str, float], rank: int) -> dict[str, float]:
    """Metrics measured at a lower rank under names that say so."""
    return {f"{name}_at_rank_{rank}": value for name, value in metrics.items()}


def measured(name: str) -> str:
    """The metric that a name stands for, at a lower rank or not."""
    found = _NAME.fullmatch(name)
    return name if found is None else found["metric"]


def served(
    config: Mapping[str, Any], metrics: Mapping[str, float]
) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """What a trial shows about configurations of lower rank: each with its metrics; nothing for other methods.

    Costs of the training are the trial's; those that a lower rank would have changed are left out.
    """
    by_rank: dict[int, dict[str, float]] = {}
    for name, value in metrics.items():
        if (found := _NAME.fullmatch(name)) is not None:
            by_rank.setdefault(int(found["rank"]), {})[found["metric"]] = value
    knob = next((name for name in (f"{config.get('method')}.rank", "rank") if name in config), None)
    if knob is None:
        return
    unchanged = {name: v for name, v in metrics.items() if not _NAME.fullmatch(name) and name not in _RANK_DECIDES}
    for rank, measured in sorted(by_rank.items()):
        yield {**config, knob: rank}, {**unchanged, **measured}

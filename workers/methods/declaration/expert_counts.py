"""How many experts a mixture has in each quarter of a model's layers, lowest first. Imports no torch."""

from __future__ import annotations

from typing import Literal, get_args

from workers.errors import InvalidInput

ExpertCounts = Literal[
    "5-5-5-5",
    "2-4-6-8",
    "8-6-4-2",
    "8-2-2-8",
    "2-8-8-2",
    "3-3-3-3",
    "2-2-2-2",
    "1-2-3-4",
    "4-3-2-1",
    "4-1-1-4",
    "1-4-4-1",
    "1-1-1-1",
]
EXPERT_COUNTS: tuple[str, ...] = get_args(ExpertCounts)


def experts_of(counts: str, layer: int, layers: int) -> int:
    """How many experts the weights of one of `layers` layers have."""
    return int(counts.split("-")[4 * layer // layers])


def halved(counts: str) -> str:
    """Half as many experts in every quarter, rounded up. Raises `InvalidInput` where there is no such mixture."""
    half = _half(counts)
    if half == counts or half not in EXPERT_COUNTS:
        allowed = ", ".join(one for one in EXPERT_COUNTS if _half(one) != one and _half(one) in EXPERT_COUNTS)
        raise InvalidInput("step", f"a mixture of {counts} experts", f"one of {allowed}, which has half as many")
    return half


def _half(counts: str) -> str:
    return "-".join(str((int(one) + 1) // 2) for one in counts.split("-"))

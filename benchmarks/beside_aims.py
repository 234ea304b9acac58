"""Figures beside their aims: which miss them, by how much, and why, where somebody has written that into the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Limits = Mapping[str, tuple[Literal["<=", ">="], float]]
BY_HAND = ("standing", "why")
"""What people write into a result file: in what circumstances it was measured, and why a figure (by name) misses."""

NOT_SAID = "nobody has said"


def missed(figures: Mapping[str, Any], limits: Limits, known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures beyond their limit, each with the reason in `known`, the file as it was; what was not measured is
    none of them. `times` is how far a figure lies beyond its limit as a factor, None beside a limit of 0."""
    found: dict[str, dict[str, Any]] = {}
    for name, (sign, limit) in limits.items():
        value = figures.get(name)
        if value is None or (value >= limit if sign == ">=" else value <= limit):
            continue
        large, small = max(value, limit), min(value, limit)
        why = known.get("why", {}).get(name, NOT_SAID)
        times = round(large / small, 2) if small > 0 else None
        found[name] = {"measured": value, "aim": f"{sign} {limit:g}", "times": times, "why": why}
    return found


def by_hand(known: Mapping[str, Any]) -> dict[str, Any]:
    """What people have written into the file: measuring on does not take it away."""
    return {name: known[name] for name in BY_HAND if name in known}

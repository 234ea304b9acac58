"""Sizes of layers whose heads and feed-forward units have partly been taken out. Imports no torch."""

from __future__ import annotations

from workers.models.anatomy import Anatomy, Linear


def left_of(count: int, share: float) -> int:
    """How many of `count` are left when a share of them goes: at least one."""
    return count - min(count - 1, int(share * count + 1e-9))


def has_heads(linear: Linear) -> tuple[bool, bool]:
    """Whether heads are rows of a weight, as of projections, and whether they are columns, as of what joins them."""
    return bool(linear.groups & {"query", "key", "value"}), "output" in linear.groups


def has_units(linear: Linear) -> tuple[bool, bool]:
    """Whether units of the feed-forward part are rows of a weight, and whether they are columns."""
    return "up" in linear.groups, "down" in linear.groups


def left_sizes(anatomy: Anatomy, linear: Linear, heads: int, units: int | None = None) -> tuple[int, int]:
    """Rows and columns of a weight that is left with so many heads, and so many units (None: all)."""
    sizes = [linear.out_features, linear.in_features]
    for count, sides in ((heads * anatomy.head_size, has_heads(linear)), (units, has_units(linear))):
        for side, gone in enumerate(sides):
            if gone and count is not None:
                sizes[side] = count
    return sizes[0], sizes[1]

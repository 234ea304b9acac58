"""What one dimension of an encoded space stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnKind = Literal["continuous", "integer", "ordinal", "categorical"]


@dataclass(frozen=True)
class Column:
    """One encoded dimension, with values in [0, 1].

    `levels` counts the distinct values of the parameter behind it (None for a continuous one). For a categorical,
    the column is the indicator of the choice with index `choice`; two choices share a single column (choice 1).
    """

    parameter: str
    kind: ColumnKind
    levels: int | None = None
    choice: int | None = None

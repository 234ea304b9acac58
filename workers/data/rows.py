"""Rows of a classification data set in memory. Imports neither torch nor transformers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rows:
    """Texts [rows] (and second texts of pairs) with class indices [rows], int32."""

    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: NDArray[np.integer]) -> Rows:
        """The rows at `indices` [n], in that order."""
        pairs = None if self.pairs is None else tuple(self.pairs[i] for i in indices)
        return Rows(tuple(self.texts[i] for i in indices), pairs, self.labels[indices])


@dataclass(frozen=True)
class LabelledData:
    """A task's data: class names in the order of the model's outputs, and the splits."""

    classes: tuple[str, ...]
    train: Rows
    validation: Rows
    test: Rows | None

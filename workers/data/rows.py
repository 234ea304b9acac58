"""Rows of a task's data in memory. Imports neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Text = str | tuple[str, ...]
"""What a row says, or its words."""
Targets = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Texts [rows] (and second texts of pairs) with targets [rows].

    A target is the index of a class (int32), a number (float32), or for rows of words an int32 array [words].
    """

    texts: tuple[Text, ...]
    pairs: tuple[str, ...] | None
    targets: Targets

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: NDArray[np.integer]) -> Rows:
        """The rows at `indices` [n], in that order."""
        pairs = None if self.pairs is None else tuple(self.pairs[i] for i in indices)
        return Rows(tuple(self.texts[i] for i in indices), pairs, self.targets[indices])

    def strings(self) -> Iterator[str]:
        """Everything that is written in the rows."""
        for text in (*self.texts, *(self.pairs or ())):
            yield from (text,) if isinstance(text, str) else text


@dataclass(frozen=True)
class TaskData:
    """A task's data: names of the model's outputs in their order (of classes, say), and the splits.

    `form` is how the source writes rows that become text in pieces, such as `sharegpt`; then targets say which pieces
    are learnt. Empty for all other data.
    """

    labels: tuple[str, ...]
    train: Rows
    validation: Rows
    test: Rows | None
    form: str = ""

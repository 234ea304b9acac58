"""What a configuration does to a task's rows between reading and tokens, so that it is searched. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from workers.data.demonstrations import Bank, demonstrated
from workers.data.eda import Eda, augmented
from workers.data.rows import TaskData


@dataclass(frozen=True)
class Transforms:
    """Altered copies beside training rows, or none; the most training rows that stand before each text."""

    eda: Eda | None = None
    demos: int = 0

    def bank(self, data: TaskData, max_length: int) -> Bank | None:
        """What texts are shown: rows as they were read. Raises `InvalidInput` where these have no prompts."""
        if self.demos == 0:
            return None
        return Bank.of(data.train, data.labels, data.in_pieces, self.demos, max_length)


PLAIN = Transforms()


def transformed(data: TaskData, transforms: Transforms, bank: Bank | None, seed: int, tokenizer: Any) -> TaskData:
    """The rows that a configuration trains and is measured on, behind what its `bank` shows them."""
    if transforms.eda is not None:
        data = replace(data, train=augmented(data.train, transforms.eda, seed))
    return data if bank is None else demonstrated(data, bank, tokenizer)

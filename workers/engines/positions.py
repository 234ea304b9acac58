"""Positions that are drawn anew for each training step (E²-LLM, Liu et al. 2024, arXiv 2401.06951). Needs torch.

A model of rotary positions trains on windows of R tokens as if these stood anywhere in a text g times as long, squeezed
into the positions that it knows: token p of a row is at (t + p) / g, g drawn from 1 to `position_scale` and t from 0 to
(g - 1)·R. Rows of up to s·R tokens are then read with p / s. With a scale of 1 nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workers.hyperparameters import Hyperparameters
from workers.models.loading import Base
from workers.models.positions import rotary


@dataclass
class DrawnPositions:
    """What a model's rotary embedding reads in place of positions: in training drawn, else divided by `serving`.

    Attributes:
        most: the largest scale.
        window: tokens of the longest training row.
        serving: by what positions are divided outside of training.
        seed: of the draws; a step's are a function of it and the step's number.
    """

    most: int
    window: int
    serving: int
    seed: int
    _now: tuple[int, int] | None = field(default=None, init=False)

    def listen(self, base: Base) -> None:
        """Stand before the rotary embedding, until the adapter is taken off."""
        rotary(base.model, base.description.anatomy).register_forward_pre_hook(self._changed, with_kwargs=True)

    @contextmanager
    def drawn_for(self, step: int) -> Iterator[None]:
        """Inside, positions are those of a training step (from 1)."""
        draw = np.random.default_rng([self.seed, step])
        scale = int(draw.integers(1, self.most + 1))
        self._now = scale, int(draw.integers(0, (scale - 1) * self.window + 1))
        try:
            yield
        finally:
            self._now = None

    def _changed(self, _module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        scale, offset = self._now or (self.serving, 0)
        if "position_ids" in named:
            return arguments, {**named, "position_ids": (named["position_ids"] + offset) / scale}
        states, positions, *others = arguments
        return (states, (positions + offset) / scale, *others), named


def drawn_positions(
    hyperparameters: Hyperparameters, base: Base, window: int, longest: int, seed: int
) -> DrawnPositions | None:
    """Let positions be drawn in the training of an adapter; None where its configuration does not ask for it.

    The adapter has to be on the base already: taking it off takes this off, too. `window` are the tokens of the longest
    training row, `longest` those that rows may have where it is measured.
    """
    if hyperparameters.position_scale == 1:
        return None
    found = DrawnPositions(hyperparameters.position_scale, window, serving_scale(longest, window), seed)
    found.listen(base)
    return found


def serving_scale(longest: int, window: int) -> int:
    """By what positions of rows of `longest` tokens are divided after training on `window`."""
    return max(1, -(-longest // window))

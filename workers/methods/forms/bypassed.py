"""Encoder layers that are not run: the hidden states go through a bottleneck alone. Needs torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workers.methods.forms.bottleneck import Bottleneck

FloatArray = NDArray[np.float64]
_LEARNING = 10.0  # of the importance, as in IST


class Bypass(nn.Module):
    """Beside an encoder layer. While `skipped`, x + A(x) stands for the layer, which is not run; else the same adapter
    A is parallel to the layer's feed-forward part.

    `redundancy` is a logit that grows where passing by does no harm; `draw` makes the draws of one trial its own.
    """

    skipped: Tensor
    redundancy: Tensor
    draw: Tensor

    def __init__(self, adapter: Bottleneck, draw: int) -> None:
        super().__init__()
        self.adapter = adapter
        self.register_buffer("skipped", torch.zeros((), dtype=torch.bool))
        self.register_buffer("redundancy", torch.zeros((), dtype=torch.float64))
        self.register_buffer("draw", torch.tensor(draw))
        self._known: tuple[Tensor, int, bool] | None = None

    def passed_by(self) -> bool:
        """Whether the layer is skipped: the device is asked when that has changed, and not in every pass."""
        known, now = self._known, self.skipped
        if known is None or known[0] is not now or known[1] != now._version:
            self._known = known = now, now._version, bool(now)
        return known[2]

    def around(self, layer: nn.Module, in_tuple: bool) -> None:
        """Have a layer ask here before it runs."""
        run = layer.forward

        def forward(*inputs: Any, **options: Any) -> Any:
            if not self.passed_by():
                return run(*inputs, **options)
            hidden = inputs[0] if inputs else options["hidden_states"]
            passed = hidden + self.adapter(hidden)
            return (passed, options.get("position_bias")) if in_tuple else passed

        layer.bypass = self
        layer.forward = forward


class Bandit:
    """Which of some layers are passed by: sets drawn by redundancy, which the losses under them teach.

    Of `count` layers with redundancy s and p = σ(s), a set is drawn in proportion to p. Where the sets of one trial
    have the rewards exp(-loss), s rises by rate · (reward - mean reward) · p(1 - p) for each layer of a set.
    """

    def __init__(self, layers: list[Bypass], count: int) -> None:
        self._layers, self._count = layers, min(count, len(layers))

    def drawn(self, *moment: int) -> list[int]:
        """A set for one moment of the training: places among the layers."""
        random, shares = np.random.default_rng([int(self._layers[0].draw), *moment]), self._shares()
        chosen = random.choice(len(self._layers), self._count, replace=False, p=shares / shares.sum())
        return sorted(int(place) for place in chosen)

    def best(self) -> list[int]:
        """The most redundant layers; of equal ones the upper."""
        order = sorted(range(len(self._layers)), key=lambda place: (-float(self._layers[place].redundancy), -place))
        return sorted(order[: self._count])

    def skip(self, places: list[int]) -> None:
        """Pass by these layers and no others."""
        for place, layer in enumerate(self._layers):
            layer.skipped.fill_(place in places)

    def learn(self, sets: list[list[int]], losses: list[float]) -> None:
        """Take in the losses under some sets."""
        rewards, shares = np.exp(-np.array(losses)), self._shares()
        for places, reward in zip(sets, rewards, strict=True):
            for place in places:
                change = _LEARNING * (reward - rewards.mean()) * shares[place] * (1 - shares[place])
                self._layers[place].redundancy += float(change)

    def _shares(self) -> FloatArray:
        scores = np.array([float(layer.redundancy) for layer in self._layers])
        shares: FloatArray = 1.0 / (1.0 + np.exp(-scores))
        return shares

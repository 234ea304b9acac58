"""LISA, HFT and IST: every step updates some of what lies in layers, and what belongs to none. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.strategies.catalogue.ist import TRIES
from workers.strategies.strategy import Subject
from workers.strategies.tensor_adamw import TensorAdamW


class SampledLayers(TensorAdamW):
    """What they share: `activate` says which layers take part from now on; the others get no gradient at all."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.seed, self._layer_of = subject.seed, subject.layers
        self.layers = sorted({layer for layer in subject.layers.values() if layer is not None})

    def activate(self, active: set[int]) -> list[str]:
        """Train these layers; returns the names of the parameters that rest."""
        return self.rest([name for name, layer in self._layer_of.items() if layer is not None and layer not in active])

    def rest(self, resting: list[str]) -> list[str]:
        """Train all parameters but these, whose names it returns."""
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(name not in resting)
        return resting


class Lisa(SampledLayers):
    """LISA: γ layers, drawn uniformly anew every K steps; the moments of the others are dropped.

    The draw is a function of seed and period, so that a resumed training makes the same.
    """

    def __init__(self, subject: Subject, count: int, interval: int) -> None:
        super().__init__(subject)
        self._count, self._interval = min(count, len(self.layers)), interval

    def begin(self, step: int, probe: Callable[[], float]) -> None:  # noqa: ARG002
        """Draw the layers of the period that `step` belongs to."""
        random = np.random.default_rng([self.seed, (step - 1) // self._interval])
        for name in self.activate(set(random.choice(self.layers, self._count, replace=False).tolist())):
            self.state[name] = {}


class Hft(SampledLayers):
    """HFT: a random `fraction` of the weights in layers is trained, by whole tensors or layers, anew every K steps; the
    moments of the others are dropped. As with LISA, the draw is a function of seed and period.
    """

    _DRAWS = 32  # orders to take units in: the one that comes nearest to the fraction counts

    def __init__(self, subject: Subject, fraction: float, grain: str, interval: int) -> None:
        super().__init__(subject)
        self._interval = interval
        self._units: dict[str, list[str]] = {}
        for name, layer in subject.layers.items():
            if layer is not None:
                self._units.setdefault(name if grain == "tensor" else str(layer), []).append(name)
        self._sizes = {unit: sum(self.parameters[name].numel() for name in own) for unit, own in self._units.items()}
        self._wanted = fraction * sum(self._sizes.values())

    def begin(self, step: int, probe: Callable[[], float]) -> None:  # noqa: ARG002
        """Draw what the period that `step` belongs to trains."""
        random = np.random.default_rng([self.seed, (step - 1) // self._interval])
        draws = [self._drawn(random) for _ in range(self._DRAWS)]
        trained = min(draws, key=lambda units: abs(sum(map(self._sizes.__getitem__, units)) - self._wanted))
        for name in self.rest([name for unit, own in self._units.items() if unit not in trained for name in own]):
            self.state[name] = {}

    def _drawn(self, random: np.random.Generator) -> set[str]:
        """Units in a random order, each taken when it brings the sum nearer to what is wanted."""
        units, chosen, total = list(self._units), set[str](), 0
        for index in random.permutation(len(units)):
            unit = units[index]
            if abs(total + self._sizes[unit] - self._wanted) <= abs(total - self._wanted):
                chosen.add(unit)
                total += self._sizes[unit]
        return chosen


class Ist(SampledLayers):
    """IST: a share of the layers, drawn for each step by an importance that suppressing layers teaches.

    With importance s_i and p_i = σ(s_i), a layer is updated with weight p_i and suppressed with weight 1 − p_i. Every K
    steps, three times, half of the layers are suppressed and the loss L of the step's rows taken. For each suppressed
    layer s_i falls by rate · (exp(−L) − mean of the three) · p_i(1 − p_i): a layer whose absence helps matters less.
    Suppressed is what a layer has learnt: its parameters lie at a quarter of the way from their start.
    """

    _SUPPRESSED, _FACTOR = 0.5, 0.25

    def __init__(self, subject: Subject, share: float, interval: int, rate: float) -> None:
        super().__init__(subject)
        self._count, self._interval, self._rate = max(1, int(share * len(self.layers))), interval, rate
        self._start = {name: value.detach().clone() for name, value in self.parameters.items()}
        self.importance = np.zeros(len(self.layers))

    def begin(self, step: int, probe: Callable[[], float]) -> None:
        """Learn the importance when it is due, and draw the layers of `step`."""
        if step % self._interval == 0:
            self._learn(step, probe)
        random = np.random.default_rng([self.seed, step])
        self.activate(set(np.array(self.layers)[self._draw(random, self.importance, self._count)].tolist()))

    def elements(self) -> int:
        """Numbers remembered between steps, besides the parameters: their start, too."""
        return super().elements() + sum(value.numel() for value in self._start.values())

    def save(self) -> dict[str, Tensor]:
        """Parameters, state and the importance of each layer."""
        return super().save() | {"importance": torch.from_numpy(self.importance.copy())}

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what `save` returned."""
        super().load(saved)
        self.importance = saved["importance"].numpy().copy()

    def _learn(self, step: int, probe: Callable[[], float]) -> None:
        half = max(1, int(self._SUPPRESSED * len(self.layers)))
        tries = [
            self._draw(np.random.default_rng([self.seed, step, number]), -self.importance, half)
            for number in range(1, TRIES + 1)
        ]
        rewards = [np.exp(-self._loss_without(chosen, probe)) for chosen in tries]
        shares = _sigmoid(self.importance)
        for chosen, reward in zip(tries, rewards, strict=True):
            change = self._rate * (reward - np.mean(rewards)) * shares * (1 - shares)
            self.importance[chosen] -= change[chosen]

    @torch.no_grad()
    def _loss_without(self, chosen: NDArray[np.int64], probe: Callable[[], float]) -> float:
        suppressed = {self.layers[index] for index in chosen}
        kept = {
            name: value.detach().clone()
            for name, value in self.parameters.items()
            if self._layer_of[name] in suppressed
        }
        for name in kept:
            self.parameters[name].copy_(torch.lerp(self._start[name], kept[name], self._FACTOR))
        loss = probe()
        for name, value in kept.items():
            self.parameters[name].copy_(value)
        return loss

    @staticmethod
    def _draw(random: np.random.Generator, scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
        weights = _sigmoid(scores)
        return random.choice(len(scores), count, replace=False, p=weights / weights.sum())


def _sigmoid(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-scores))

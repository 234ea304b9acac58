"""SPSA-GC: steps from two losses, without gradients. Needs torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from workers.strategies.strategy import Subject
from workers.strategies.tensor_adamw import TensorAdamW


class SpsaGc(TensorAdamW):
    """ĝ = [L(φ + cΔ) − L(φ − cΔ)] / (2cΔ); m ← βm + ĝ; φ ← φ − a·(ĝ + βm), with a and c falling by the step k.

    Δ has entries of either sign and a size from ½ to 1, drawn from seed and step, so that 1/Δ stays bounded;
    c = c₀/k^γ; a is the step's learning rate times `gain` · ((1 + o)/(k + o))^α. ĝ is the mean over `averaged` draws.
    All losses are those of evaluation mode: nothing is differentiated, and afterwards the parameters are as before.
    """

    def __init__(
        self,
        subject: Subject,
        size: tuple[float, float],
        gain: tuple[float, float, int],
        momentum: float,
        averaged: int,
    ) -> None:
        """`size` is (c₀, γ), `gain` (gain, α, o)."""
        super().__init__(subject)
        self._seed, self._size, self._gain = subject.seed, size, gain
        self._momentum, self._averaged = momentum, averaged
        self._number = 0
        self._moved = [name for name in self.parameters if subject.rate_factors.get(name, 1.0) != 0]

    @torch.no_grad()
    def begin(self, step: int, probe: Callable[[], float]) -> float | None:
        """Estimate the gradient of `step` from 2 · `averaged` losses, whose mean it returns."""
        self._number = step
        random = torch.Generator().manual_seed(int(np.random.SeedSequence([self._seed, step]).generate_state(1)[0]))
        start = {name: self.parameters[name].detach().clone() for name in self._moved}
        width, losses = self._size[0] / step ** self._size[1], list[float]()
        for _ in range(self._averaged):
            change = {name: perturbation(value, random) for name, value in start.items()}
            above, below = (self._probed(start, change, side * width, probe) for side in (1, -1))
            for name, value in change.items():
                self._add(name, value.reciprocal_().mul_((above - below) / (2 * width * self._averaged)))
            losses += [above, below]
        for name, value in start.items():
            self.parameters[name].copy_(value)
        return sum(losses) / len(losses)

    def _probed(
        self, start: dict[str, Tensor], change: dict[str, Tensor], width: float, probe: Callable[[], float]
    ) -> float:
        for name, value in start.items():
            self.parameters[name].copy_(value + width * change[name])
        return probe()

    def _add(self, name: str, estimate: Tensor) -> None:
        parameter = self.parameters[name]
        parameter.grad = estimate if parameter.grad is None else parameter.grad + estimate

    def direction(self, name: str, gradient: Tensor) -> Tensor:
        """Where a parameter goes: the estimate corrected by those before, and smaller the later it is."""
        gain, power, offset = self._gain
        state = self.state[name]
        state["momentum"] = self._momentum * state.get("momentum", torch.zeros_like(gradient)) + gradient
        scale: float = gain * ((1 + offset) / (self._number + offset)) ** power
        corrected: Tensor = gradient + self._momentum * state["momentum"]
        return scale * corrected


def perturbation(like: Tensor, random: torch.Generator) -> Tensor:
    """Numbers of either sign and a size from ½ to 1, of the shape and on the device of `like`."""
    sizes = 0.5 + 0.5 * torch.rand(like.shape, generator=random)
    signs = 2.0 * torch.randint(0, 2, like.shape, generator=random) - 1.0
    return (sizes * signs).to(like.device)

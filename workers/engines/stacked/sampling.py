"""Members of which every step updates some tensors and lets the others rest: LISA, HFT and IST within a pack.

The strategy is the one that the trial would have alone: it draws, and its state is where the stack keeps moments. What
rests has a rate of 0 in that step, keeps its moments or loses them as the strategy says, and each tensor counts its own
steps, as alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn


class Strategy(Protocol):
    """What `workers.strategies.tensor_adamw.TensorAdamW` offers of those that sample."""

    parameters: dict[str, nn.Parameter]
    state: dict[str, dict[str, Tensor]]
    most_kept: int

    def begin(self, step: int, probe: Callable[[], float]) -> float | None:
        """Decide what `step` trains: parameters that rest need no gradient then; what is forgotten has no state."""

    def elements(self) -> int:
        """Numbers remembered between steps."""

    def save(self) -> dict[str, Tensor]:
        """Parameters and state by name."""

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what `save` gave."""


Moments = Mapping[str, tuple[Tensor, Tensor]]
"""Each tensor's mean and mean square where the stack keeps them, by its name."""


class Sampled:
    """One member's strategy at work on the stack's numbers."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self._moments: Moments = {}

    def lie(self, parameters: Mapping[str, Tensor], moments: Moments) -> None:
        """The stack keeps the member's numbers there now."""
        self._moments = moments
        for name, parameter in self.strategy.parameters.items():
            parameter.data = parameters[name]
            if self.strategy.state[name]:
                self._keep(name, self.strategy.state[name]["steps"])

    @torch.no_grad()
    def begin(self, step: int, probe: Callable[[], float]) -> None:
        """Draw what `step` trains."""
        remembered = [name for name, state in self.strategy.state.items() if state]
        self.strategy.begin(step, probe)
        for name in remembered:
            if not self.strategy.state[name]:
                for moment in self._moments[name]:
                    moment.zero_()

    def steps(self) -> dict[str, int]:
        """Count a step: what it trains, with the number of steps that each has had by then."""
        found = dict[str, int]()
        for name in self.active():
            if not self.strategy.state[name]:
                self._keep(name, torch.zeros((), dtype=torch.int64))
            state = self.strategy.state[name]
            state["steps"] = state["steps"] + 1
            found[name] = int(state["steps"])
        gradients = sum(self.strategy.parameters[name].numel() for name in found)
        self.strategy.most_kept = max(self.strategy.most_kept, gradients + self.strategy.elements())
        return found

    def active(self) -> Iterable[str]:
        """What the step at hand trains."""
        return (name for name, value in self.strategy.parameters.items() if value.requires_grad)

    @torch.no_grad()
    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what any engine saved."""
        self.strategy.load(saved)
        for name, state in self.strategy.state.items():
            for kind, moment in zip(_MOMENTS, self._moments[name], strict=True):
                moment.zero_()
                if state:
                    moment.copy_(state[kind].reshape(moment.shape))
            if state:
                self._keep(name, state["steps"])

    def _keep(self, name: str, steps: Tensor) -> None:
        """Let what is remembered of a tensor lie where the stack keeps it."""
        shape = self.strategy.parameters[name].shape
        kept = {kind: moment.view(shape) for kind, moment in zip(_MOMENTS, self._moments[name], strict=True)}
        self.strategy.state[name] = {**kept, "steps": steps}


_MOMENTS = ("mean", "square")

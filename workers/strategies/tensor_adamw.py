"""AdamW tensor by tensor, for strategies that treat tensors differently. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from workers.engines.flat_adamw import BETAS, EPSILON, forget_entries
from workers.strategies.strategy import Subject

State = dict[str, Tensor]


class TensorAdamW:
    """`Updates` (see `workers.engines.updates`) of every parameter that has a gradient; all others stay as they are.

    Same mathematics and constants as `torch.optim.AdamW`, with a count of steps for each tensor. `state` holds what is
    remembered of each parameter, by its name and then by kind; checkpoints carry all of it. `most_kept` is the largest
    number of elements that gradients and state had together.
    """

    def __init__(self, subject: Subject) -> None:
        self.parameters = dict(subject.parameters)
        self.state: dict[str, State] = {name: {} for name in self.parameters}
        self.most_kept = 0
        self._weight_decay, self._factors = subject.weight_decay, subject.rate_factors

    def begin(self, step: int, probe: Callable[[], float]) -> float | None:  # noqa: ARG002
        """Nothing to prepare when every step updates everything."""
        return None

    def clip(self, max_norm: float) -> None:
        """Scale the gradients to a global norm of at most `max_norm`; 0 is off."""
        if max_norm > 0:
            clip_grad_norm_(self.parameters.values(), max_norm)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update the parameters from their gradients."""
        gradients = 0
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                gradients += parameter.grad.numel()
                rate = learning_rate * self._factors.get(name, 1.0)
                decay = 1.0 - rate * self._weight_decay if parameter.ndim >= 2 else 1.0
                self.update(name, parameter, parameter.grad, rate, decay)
        self.most_kept = max(self.most_kept, gradients + self.elements())

    def update(self, name: str, parameter: nn.Parameter, gradient: Tensor, rate: float, decay: float) -> None:
        """One step of one parameter: first `decay` times itself, then `rate` along its direction."""
        parameter.mul_(decay).sub_(self.direction(name, gradient), alpha=rate)

    def direction(self, name: str, gradient: Tensor) -> Tensor:
        """Where a parameter goes, of its own shape."""
        return adam_direction(self.state[name], gradient)

    def elements(self) -> int:
        """Numbers remembered between steps, besides the parameters."""
        return sum(value.numel() for state in self.state.values() for value in state.values())

    def forget(self, renewed: Mapping[str, Tensor]) -> None:
        """Start afresh at flat indices of parameters, by name."""
        for name, entries in renewed.items():
            if "mean" in self.state[name]:
                forget_entries(self.state[name]["mean"], self.state[name]["square"], entries)

    def clear_gradients(self) -> None:
        """Drop every gradient."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def save(self) -> dict[str, Tensor]:
        """Parameters and state, by name."""
        saved = {f"parameter/{name}": value.detach().clone() for name, value in self.parameters.items()}
        remembered = {
            f"strategy/{kind}/{name}": value.clone()
            for name, state in self.state.items()
            for kind, value in state.items()
        }
        return saved | remembered

    @torch.no_grad()
    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what `save` returned."""
        for name, parameter in self.parameters.items():
            parameter.copy_(saved[f"parameter/{name}"])
            self.state[name] = {}
        for full, value in saved.items():
            if full.startswith("strategy/"):
                _, kind, name = full.split("/", 2)
                self.state[name][kind] = value.clone()

    def release(self) -> None:
        """Leave the parameters as ordinary ones without gradients."""
        self.clear_gradients()
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)


def adam_direction(state: State, gradient: Tensor, kind: str = "") -> Tensor:
    """Adam's step for a learning rate of 1, from moments that it keeps in `state` under `kind`; shape of `gradient`."""
    mean = state.setdefault(f"{kind}mean", torch.zeros_like(gradient))
    square = state.setdefault(f"{kind}square", torch.zeros_like(gradient))
    steps = state.setdefault(f"{kind}steps", torch.zeros((), dtype=torch.int64))
    steps += 1
    mean.lerp_(gradient, 1.0 - BETAS[0])
    square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1.0 - BETAS[1])
    mean_correction, square_correction = (1.0 - beta ** int(steps) for beta in BETAS)
    return mean / mean_correction / (square.sqrt().div_(square_correction**0.5).add_(EPSILON))

"""One trial of a pack: its course, what it changes in the shared model, and its random stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from workers.engines.course import Course
from workers.engines.stacked.sampling import Strategy
from workers.engines.stacked.stack import Stack, Tenant
from workers.engines.stacked.update import Update
from workers.hyperparameters import Hyperparameters
from workers.methods.forms.dropout import dropout_mask


@dataclass(eq=False)
class Member:
    """One trial of a pack.

    Attributes:
        course: what the trial wants next.
        updates: what it changes, as it is before its first step.
        random_state: state of its random stream (dropout), a uint8 tensor.
        rate_factors: multiples of the learning rate by parameter name.
        lowest_layer: index of the lowest encoder layer that it changes.
        stack: where its numbers are, at `slot`.
        seed: of the trial.
        extra: what a checkpoint holds besides, by the names that every engine uses; it never changes.
        bytes_needed: what its part of a pass and its optimizer take, 0 where nobody measured it.
    """

    course: Course
    hyperparameters: Hyperparameters
    updates: tuple[Update, ...]
    random_state: Tensor
    rate_factors: Mapping[str, float]
    lowest_layer: int
    stack: Stack
    seed: int = 0
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    bytes_needed: float = 0.0
    slot: int = field(init=False)

    def __post_init__(self) -> None:
        own = self.hyperparameters
        self.slot = self.stack.add(Tenant(self.updates, own.weight_decay, self.rate_factors, own.max_grad_norm))

    def follow(self, strategy: Callable[[Mapping[str, nn.Parameter]], Strategy]) -> Strategy:
        """Let a strategy, made for the member's parameters, decide what its steps train."""
        made = strategy({name: nn.Parameter(value) for name, value in self.stack.parameters(self.slot).items()})
        self.stack.follow(self.slot, made)
        return made

    def leave(self) -> dict[str, Tensor]:
        """Give the slot back; what was trained, by name."""
        trained = {name: value.clone() for name, value in self.stack.parameters(self.slot).items()}
        self.stack.remove(self.slot)
        return trained

    def save(self) -> dict[str, Tensor]:
        """What continuing needs, under the names that the other engines use."""
        return self.stack.save(self.slot) | {"random/cpu": self.random_state} | dict(self.extra)

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what any engine saved."""
        self.stack.load(self.slot, saved)
        self.random_state = saved["random/cpu"]

    def mask(self, shape: tuple[int, ...], probability: float) -> Tensor:
        """A dropout mask from the member's own random stream, as training alone would draw it."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.random_state)
            mask = dropout_mask(shape, probability)
            self.random_state = torch.get_rng_state()
        return mask

"""One trial of a pack: its parameters, where they act in the shared model, its optimizer and its random stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from workers.engines.course import Course
from workers.engines.flat_adamw import FlatAdamW
from workers.hyperparameters import Hyperparameters
from workers.methods.forms.dropout import dropout_mask


@dataclass(frozen=True)
class LowRank:
    """One adapted layer of one member: adds scale · dropout(x) Aᵀ Bᵀ. `a` is [rank, in], `b` is [out, rank]."""

    a: nn.Parameter
    b: nn.Parameter
    scale: float
    dropout: float


@dataclass(eq=False)
class Member:
    """One trial of a pack.

    Attributes:
        course: what the trial wants next.
        parameters: everything it trains, by name.
        updates: its low-rank updates by the full name of the layer they sit on.
        heads: its head's parameters by the full name of the head module, then by name inside it.
        random_state: state of its random stream (dropout), a uint8 tensor.
        rate_factors: multiples of the learning rate by parameter name.
        lowest_layer: index of the lowest encoder layer that it changes.
    """

    course: Course
    hyperparameters: Hyperparameters
    parameters: Mapping[str, nn.Parameter]
    updates: Mapping[str, LowRank]
    heads: Mapping[str, Mapping[str, nn.Parameter]]
    random_state: Tensor
    rate_factors: Mapping[str, float]
    lowest_layer: int
    optimizer: FlatAdamW = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = FlatAdamW(self.parameters, self.hyperparameters.weight_decay, self.rate_factors)

    def save(self) -> dict[str, Tensor]:
        """What continuing needs, under the names that the other engines use."""
        return self.optimizer.save() | {"random/cpu": self.random_state}

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what any engine saved."""
        self.optimizer.load(saved)
        self.random_state = saved["random/cpu"]

    def mask(self, shape: tuple[int, ...], probability: float) -> Tensor:
        """A dropout mask from the member's own random stream, as training alone would draw it."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.random_state)
            mask = dropout_mask(shape, probability)
            self.random_state = torch.get_rng_state()
        return mask

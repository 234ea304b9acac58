"""AdamW over one flat buffer: a tiny adapter's step costs its Python calls, so there are few of them.

Same mathematics and constants as `torch.optim.AdamW` (Loshchilov & Hutter 2019) with two groups: matrices decay,
vectors (biases, norms, scales) do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class FlatAdamW:
    """Moves `parameters` into one contiguous buffer (they stay ordinary parameters, as views of it) and updates them.

    `rate_factors` are multiples of the learning rate by name, 1 where a name is missing. `release` gives every
    parameter its own memory back.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        weight_decay: float,
        rate_factors: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        # Matrices first, so that weight decay is one operation on one slice.
        self._parameters = dict(sorted(parameters.items(), key=lambda item: item[1].ndim < 2))
        tensors = list(self._parameters.values())
        self._values = torch.cat([p.detach().reshape(-1).float() for p in tensors])  # [parameters]
        self._gradients = torch.zeros_like(self._values)
        self._mean = torch.zeros_like(self._values)
        self._square = torch.zeros_like(self._values)
        self._decayed = sum(p.numel() for p in tensors if p.ndim >= 2)
        self._weight_decay = weight_decay
        self._factors = self._per_entry(rate_factors) if rate_factors else None
        self.steps = 0
        for parameter, value, gradient in zip(
            tensors, self._views(self._values), self._views(self._gradients), strict=True
        ):
            parameter.data, parameter.grad = value, gradient

    def begin(self, step: int, probe: Callable[[], float]) -> None:
        """Nothing to prepare."""

    def clip(self, max_norm: float) -> None:
        """Scale the gradient to a global norm of at most `max_norm`; 0 is off."""
        if max_norm > 0:
            norm = torch.linalg.vector_norm(self._gradients)
            self._gradients.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))

    def step(self, learning_rate: float) -> None:
        """Update the parameters from their gradients."""
        self.steps += 1
        if self._weight_decay:
            factors = 1.0 if self._factors is None else self._factors[: self._decayed]
            self._values[: self._decayed].mul_(1.0 - learning_rate * self._weight_decay * factors)
        self._mean.lerp_(self._gradients, 1.0 - BETAS[0])
        self._square.mul_(BETAS[1]).addcmul_(self._gradients, self._gradients, value=1.0 - BETAS[1])
        mean_correction, square_correction = (1.0 - beta**self.steps for beta in BETAS)
        denominator = self._square.sqrt().div_(square_correction**0.5).add_(EPSILON)
        mean = self._mean if self._factors is None else self._mean * self._factors
        self._values.addcdiv_(mean, denominator, value=-learning_rate / mean_correction)

    def forget(self, renewed: Mapping[str, Tensor]) -> None:
        """Start afresh at flat indices of parameters, by name: they stand for something new."""
        if renewed:
            means, squares = (
                dict(zip(self._parameters, self._views(flat), strict=True)) for flat in (self._mean, self._square)
            )
            for name, entries in renewed.items():
                forget_entries(means[name], squares[name], entries)

    def clear_gradients(self) -> None:
        """Set every gradient to zero."""
        self._gradients.zero_()

    def save(self) -> dict[str, Tensor]:
        """Parameters and moments by name, as `load` takes them."""
        kinds = {"parameter": self._values, "mean": self._mean, "square": self._square}
        saved = {
            f"{kind}/{name}": view.clone()
            for kind, flat in kinds.items()
            for name, view in zip(self._parameters, self._views(flat), strict=True)
        }
        return saved | {"steps": torch.tensor(self.steps)}

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what `save` returned; a missing parameter raises `KeyError`."""
        for kind, flat in {"parameter": self._values, "mean": self._mean, "square": self._square}.items():
            for name, view in zip(self._parameters, self._views(flat), strict=True):
                view.copy_(saved[f"{kind}/{name}"])
        self.steps = int(saved["steps"])

    def release(self) -> None:
        """Give every parameter memory of its own and drop its gradient."""
        for parameter in self._parameters.values():
            parameter.data, parameter.grad = parameter.detach().clone(), None

    def _per_entry(self, factors: Mapping[str, float]) -> Tensor:
        """Each parameter's factor at every one of its entries [parameters]."""
        parts = [torch.full((p.numel(),), factors.get(name, 1.0)) for name, p in self._parameters.items()]
        return torch.cat(parts).to(self._values)

    def _views(self, flat: Tensor) -> list[Tensor]:
        shapes = [p.shape for p in self._parameters.values()]
        pieces = flat.split([shape.numel() for shape in shapes])
        return [piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def forget_entries(mean: Tensor, square: Tensor, entries: Tensor) -> None:
    """Reset AdamW's moments at flat indices `entries` of one parameter.

    The mean gradient there becomes zero and the mean square that of the whole parameter: with zero for both, steps
    would be several times too long until the squares have grown, because the bias correction is that of old moments.
    """
    mean.view(-1)[entries] = 0.0
    square.view(-1)[entries] = square.mean()

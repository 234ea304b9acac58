"""`torch.optim.AdamW` as it is, for the reference engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from workers.engines.flat_adamw import forget_entries


class TorchAdamW:
    """`Updates` by PyTorch's own optimizer. `rate_factors` are multiples of the learning rate by name."""

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], weight_decay: float, rate_factors: Mapping[str, float]
    ) -> None:
        self._parameters = dict(parameters)
        self._optimizer = torch.optim.AdamW(self._groups(weight_decay, rate_factors), lr=0.0)

    def begin(self, step: int, probe: Callable[[], float]) -> None:
        """Nothing to prepare."""

    def clip(self, max_norm: float) -> None:
        """Scale the gradients to a global norm of at most `max_norm`; 0 is off."""
        if max_norm > 0:
            clip_grad_norm_(self._parameters.values(), max_norm)

    def step(self, learning_rate: float) -> None:
        """Update the parameters from their gradients."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate * group["factor"]
        self._optimizer.step()

    def forget(self, renewed: Mapping[str, Tensor]) -> None:
        """Start afresh at flat indices of parameters, by name."""
        for name, entries in renewed.items():
            state = self._optimizer.state[self._parameters[name]]
            forget_entries(state["exp_avg"], state["exp_avg_sq"], entries)

    def clear_gradients(self) -> None:
        """Drop every gradient."""
        self._optimizer.zero_grad()

    def save(self) -> dict[str, Tensor]:
        """Parameters and moments by name; the fast engine saves the same names."""
        saved = {f"parameter/{name}": p.detach().clone() for name, p in self._parameters.items()}
        steps = 0
        for name, parameter in self._parameters.items():
            state = self._optimizer.state[parameter]
            saved[f"mean/{name}"], saved[f"square/{name}"] = state["exp_avg"].clone(), state["exp_avg_sq"].clone()
            steps = int(state["step"])
        return saved | {"steps": torch.tensor(steps)}

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what `save` returned."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(saved[f"parameter/{name}"])
                self._optimizer.state[parameter] = {
                    "step": saved["steps"].float(),
                    "exp_avg": saved[f"mean/{name}"].to(parameter.device, copy=True),
                    "exp_avg_sq": saved[f"square/{name}"].to(parameter.device, copy=True),
                }

    def release(self) -> None:
        """Drop the gradients."""
        self._optimizer.zero_grad()

    def _groups(self, weight_decay: float, rate_factors: Mapping[str, float]) -> list[dict[str, Any]]:
        """Parameters by whether they decay and by their multiple of the learning rate."""
        # PyTorch refuses to have no group at all, as of a model that is only measured.
        members: dict[tuple[bool, float], list[nn.Parameter]] = {(True, 1.0): []}
        for name, parameter in self._parameters.items():
            # Weight decay is for matrices: decaying norms and biases pulls them to values that mean nothing.
            members.setdefault((parameter.ndim >= 2, rate_factors.get(name, 1.0)), []).append(parameter)
        return [
            {"params": own, "weight_decay": weight_decay if matrices else 0.0, "factor": factor}
            for (matrices, factor), own in members.items()
        ]

"""A small network beside the frozen one, fed by the outputs of its layers (ladder side-tuning). Needs torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

TEMPERATURE = 0.1


class SideBlock(nn.Module):
    """s ← s' + W·gelu(LayerNorm(s')) + b with s' = μ·down(h) + (1 − μ)·s and μ = σ(α / T), α = 0 at the start.

    h [rows, tokens, hidden] is the output of the frozen layer, s [rows, tokens, width] the side network's state.
    """

    def __init__(self, hidden: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down, self.mix, self.norm = nn.Linear(hidden, width), nn.Linear(width, width), nn.LayerNorm(width)
        self.gate = nn.Parameter(torch.zeros(()))
        with torch.no_grad():
            for linear in (self.down, self.mix):
                linear.weight.normal_(0.0, linear.in_features**-0.5, generator=generator)
                linear.bias.zero_()

    def forward(self, hidden: Tensor, state: Tensor | None) -> Tensor:
        """The next state [rows, tokens, width]."""
        share, seen = torch.sigmoid(self.gate / TEMPERATURE), self.down(hidden)
        state = share * seen if state is None else share * seen + (1 - share) * state
        return state + self.mix(functional.gelu(self.norm(state)))


class LadderSide(nn.Module):
    """The side network. Its result is added to the output of the last layer; the added part is zero at the start."""

    def __init__(self, hidden: int, width: int, layers: int, generator: torch.Generator) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SideBlock(hidden, width, generator) for _ in range(layers))
        self.up = nn.Linear(width, hidden)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self._state: Tensor | None = None

    def watch(self, layers: nn.ModuleList) -> None:
        """Follow the frozen layers with hooks: no gradient ever enters them, since nothing below is trained."""
        for index, layer in enumerate(layers):
            layer.register_forward_hook(self._hook(index))

    def _hook(self, index: int) -> Any:
        def hook(_layer: nn.Module, _inputs: Any, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            self._state = self.blocks[index](hidden.detach(), None if index == 0 else self._state)
            if index < len(self.blocks) - 1:
                return None
            hidden, self._state = hidden + self.up(self._state), None
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return hook
